"""How large a network may be: known before anything is allocated, since a small file can ask for any size."""

from __future__ import annotations

from dcasearch.architecture import Architecture
from dcasearch.errors import UserError
from dcasearch.models.cost import cost
from dcasearch.models.max_params import max_params


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
