"""Numbers as people write them: 5.0M, 300M, 4G, 10k."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
PATTERN = r"^(\d+\.?\d*) *([kMGT])$"


def parse_number(value: object) -> object:
    """Return the number that a text such as `5.0M` stands for; anything else as it is."""
    match = re.match(PATTERN, value) if isinstance(value, str) else None
    return float(match[1]) * _UNITS[match[2]] if match else value


def number_in(text: str) -> float | None:
    """Return the number that a text stands for, with or without a unit; None where it is none."""
    value = parse_number(text)
    try:
        return value if isinstance(value, float) else float(text)
    except ValueError:
        return None


Human = Annotated[float, BeforeValidator(parse_number)]
"""A float that may be written with a unit: k, M, G, T."""
