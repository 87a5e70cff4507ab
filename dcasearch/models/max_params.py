"""The most parameters that a network may have: a small file can ask for any number."""

from __future__ import annotations

import os

from dcasearch.config.numbers import number_in
from dcasearch.errors import UserError

VARIABLE = "DCASEARCH_MAX_PARAMS"
"""Of the environment, so that child processes have the limit too."""
USUAL = 2e9
"""8 GB in fp32."""


def max_params() -> float:
    """Return the most parameters that a network may have: what `--max-params` or the environment says, else 2 billion.

    Raises:
        UserError: the variable holds no number.
    """
    said = os.environ.get(VARIABLE)
    if said is None:
        return USUAL
    number = number_in(said)
    if number is None or not number > 0:
        raise UserError(f"{VARIABLE}: {said!r} is no number of parameters, e.g. 5G")
    return number
