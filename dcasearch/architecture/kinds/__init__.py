"""The attention blocks' declarations: one kind a file, each registered in `KINDS`. No torch.

A kind's module is in `dcasearch.models.attention`, registered under the same name. Both folders find their
modules by themselves: a new kind is two new files. `declaration` says what a kind declares.
"""

from dcasearch.architecture.kinds.declaration import (
    KINDS,
    Dimension,
    Kind,
    Option,
    Options,
    Place,
    Port,
    Shape,
    State,
    Value,
    dimensions,
    obstacle,
    options_named,
)
from dcasearch.registry import import_all

import_all(__name__, __path__)

__all__ = [
    "KINDS",
    "Dimension",
    "Kind",
    "Option",
    "Options",
    "Place",
    "Port",
    "Shape",
    "State",
    "Value",
    "dimensions",
    "obstacle",
    "options_named",
]
