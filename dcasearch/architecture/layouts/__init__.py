"""The backbones' geometry: one family a file, each registered in `BACKBONES`. No torch.

The numbers are torchvision's; tests/models/test_backbones.py holds every layout against the real module.
"""

from dcasearch.architecture.layouts.layout import (
    BACKBONES,
    TORCHVISION_CLASSES,
    BackboneFamily,
    BackboneLayout,
    BlockLayout,
    Stem,
    family_of,
    scaled_channels,
)
from dcasearch.registry import import_all

import_all(__name__, __path__)

__all__ = [
    "BACKBONES",
    "TORCHVISION_CLASSES",
    "BackboneFamily",
    "BackboneLayout",
    "BlockLayout",
    "Stem",
    "family_of",
    "scaled_channels",
]
