"""MnasNet-B1's geometry; a stage is one of torchvision's six stacks. Kernel sizes are torchvision's own affair."""

from __future__ import annotations

from functools import lru_cache, partial

from dcasearch.architecture.layouts.layout import (
    BACKBONES,
    BackboneFamily,
    BackboneLayout,
    Stem,
    inverted_residuals,
    scaled_channels,
)

VARIANTS = {"mnasnet0_5": 0.5, "mnasnet0_75": 0.75, "mnasnet1_0": 1.0, "mnasnet1_3": 1.3}
"""Name -> width multiplier."""
_SETTINGS = ((3, 24, 3, 2), (3, 40, 3, 2), (6, 80, 3, 2), (6, 96, 2, 1), (6, 192, 4, 2), (6, 320, 1, 1))


@lru_cache
def _mnasnet(alpha: float, width: float, stem: Stem) -> BackboneLayout:
    first = scaled_channels(16, alpha)
    return inverted_residuals(_SETTINGS, first, alpha, stem, lambda stage, i, _: f"layers.{8 + stage}.{i}")


for _name, _alpha in VARIANTS.items():
    BACKBONES.register(_name)(
        BackboneFamily(
            layout=partial(_mnasnet, _alpha),
            family="mnasnet",
            widths=tuple(VARIANTS),
            few_classes={"numerics_of_mnasnet": 2},  # 2: the classifier starts smaller
        )
    )
