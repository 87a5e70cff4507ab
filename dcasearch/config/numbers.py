"""Numbers as people write them: 5.0M, 300M, 4G, 10k."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def parse_number(value: object) -> object:
    """Return the number that a text such as `5.0M` stands for; anything else as it is."""
    if isinstance(value, str) and value[-1:] in _UNITS:
        try:
            return float(value[:-1]) * _UNITS[value[-1]]
        except ValueError:
            return value
    return value


Human = Annotated[float, BeforeValidator(parse_number)]
"""A float that may be written with a unit: k, M, G, T."""
