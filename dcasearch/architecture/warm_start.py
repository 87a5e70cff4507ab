"""Where a connected network starts if its vanilla parent has been trained already (paper, the remark under Eq. 3)."""

from __future__ import annotations

from dcasearch.architecture.point import Architecture
from dcasearch.architecture.specification import ConnectionFunction, Connections

_ALPHA = {"direct": 0.0, "weighted": 0.01}
"""`direct` is its vanilla parent at α = 0. So is `weighted`, but there its gradient with respect to α is 0 as well, so
that it starts beside it. The others are another network at every α."""


def alpha_of_vanilla(function: ConnectionFunction) -> float | None:
    """Return the α at which a connection leaves its block (nearly) as it is, None where there is none."""
    return None if function.form == "literal" else _ALPHA.get(function.name)


def vanilla_of(architecture: Architecture) -> Architecture:
    """Return the same backbone and attention without connections; a vanilla network itself is returned as it is."""
    if architecture.connections is None:
        return architecture
    return _with(architecture, None)


def started_as_vanilla(architecture: Architecture) -> Architecture:
    """Return the same network (of the same id) with the α that makes it its vanilla parent, where there is one."""
    connections = architecture.connections
    alpha = None if connections is None else alpha_of_vanilla(connections.function)
    if connections is None or alpha is None:
        return architecture
    start = connections.alpha.model_copy(update={"init": alpha})
    started = connections.model_copy(update={"alpha": start})
    return _with(architecture, started)


def _with(architecture: Architecture, connections: Connections | None) -> Architecture:
    """Return the same backbone and attention with other connections."""
    return Architecture(
        backbone=architecture.backbone,
        attention=architecture.attention,
        connections=connections,
        stage_attention=architecture.stage_attention,
        init=architecture.init,
        attention_init=architecture.attention_init,
    )
