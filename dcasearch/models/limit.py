"""How large a network may be: known before anything is allocated, since a small file can ask for any size."""

from __future__ import annotations

import os

from dcasearch.architecture import Architecture
from dcasearch.config.numbers import number_in
from dcasearch.errors import UserError
from dcasearch.models.cost import cost

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


def refuse_large(architecture: Architecture, resolution: int, classes: int) -> None:
    """Count a network's parameters without building it.

    Raises:
        UserError: it has more than `max_params`.
    """
    most = max_params()
    try:
        params = cost(architecture, resolution, classes).params
    except RuntimeError as error:  # torch counts bytes in 64 bits
        raise UserError(f"the network is larger than can be counted: {str(error)[:200]}") from error
    if params > most:
        raise UserError(
            f"the network has {params:,} parameters; at most {most:,.0f} are built. --max-params allows more"
        )
