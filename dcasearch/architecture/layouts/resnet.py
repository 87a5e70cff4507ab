"""ResNet's geometry; a stage is one of torchvision's layer1-4."""

from __future__ import annotations

from functools import lru_cache, partial

from dcasearch.architecture.layouts.layout import (
    BACKBONES,
    BackboneFamily,
    BackboneLayout,
    Row,
    Stem,
    make_layout,
    scaled_channels,
)

VARIANTS = {
    "resnet18": ((2, 2, 2, 2), 1),
    "resnet34": ((3, 4, 6, 3), 1),
    "resnet50": ((3, 4, 6, 3), 4),
    "resnet101": ((3, 4, 23, 3), 4),
    "resnet152": ((3, 8, 36, 3), 4),
}
"""Name -> (blocks of each stage, expansion: 1 for basic blocks, 4 for bottlenecks)."""


@lru_cache
def _resnet(depths: tuple[int, ...], expansion: int, width: float, stem: Stem) -> BackboneLayout:
    rows = [
        Row(
            f"layer{stage + 1}.{i}",
            stage,
            scaled_channels(64 * 2**stage, width) * expansion,
            scaled_channels(64 * 2**stage, width),
            2 if stage and not i else 1,
        )
        for stage, depth in enumerate(depths)
        for i in range(depth)
    ]
    return make_layout(rows, 4 if stem == "imagenet" else 1)


for _name, (_depths, _expansion) in VARIANTS.items():
    _layers = 2 + sum(_depths) * (2 if _expansion == 1 else 3)
    BACKBONES.register(_name)(
        BackboneFamily(layout=partial(_resnet, _depths, _expansion), family="resnet", depth=_layers)
    )
