"""The backbones' geometry: stages and blocks with their channels and strides, without building a network.

The numbers are torchvision's; tests/models/test_backbones.py holds every layout against the real module.
A stage is torchvision's own group: ResNet's layer1-4, MnasNet's six stacks, MobileNetV2's seven settings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal

from dcasearch.registry import Registry

Stem = Literal["imagenet", "small"]
TORCHVISION_CLASSES = 1000
"""Classes of torchvision's own weights: ImageNet's."""


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """One block of a backbone."""

    name: str
    """Its module path in torchvision's network, e.g. `layer1.0`."""
    stage: int
    """Its stage, from 0."""
    channels: int
    """Channels of its output."""
    width: int
    """Channels of its k x k convolution, whose place SK takes."""
    stride: int
    """Stride from the block's input to its output."""
    scale: int
    """Product of all strides from the image to the block's output."""


@dataclass(frozen=True, slots=True)
class BackboneLayout:
    """A backbone as a list of blocks in network order."""

    blocks: tuple[BlockLayout, ...]

    @property
    def stages(self) -> int:
        """Number of stages."""
        return self.blocks[-1].stage + 1

    def in_stage(self, stage: int) -> int:
        """Return the number of blocks in a stage (stages count from 0)."""
        return sum(block.stage == stage for block in self.blocks)


BACKBONES: Registry[Callable[[float, Stem], BackboneLayout]] = Registry("a backbone")
"""Name -> layout of (width multiplier, stem). A MnasNet takes no width other than 1."""


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    stage: int
    channels: int
    width: int
    stride: int


def _layout(rows: Sequence[_Row], stem_stride: int) -> BackboneLayout:
    scale, blocks = stem_stride, []
    for row in rows:
        scale *= row.stride
        blocks.append(BlockLayout(row.name, row.stage, row.channels, row.width, row.stride, scale))
    return BackboneLayout(tuple(blocks))


def scaled_channels(channels: int, width: float) -> int:
    """Return channels times a width multiplier as MnasNet and MobileNetV2 round it.

    That is to a multiple of 8, never more than 10% down.
    """
    value = channels * width
    rounded = max(8, int(value + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * value else rounded + 8


@lru_cache
def _resnet(depths: tuple[int, ...], expansion: int, width: float, stem: Stem) -> BackboneLayout:
    rows = [
        _Row(
            f"layer{stage + 1}.{i}",
            stage,
            scaled_channels(64 * 2**stage, width) * expansion,
            scaled_channels(64 * 2**stage, width),
            2 if stage and not i else 1,
        )
        for stage, depth in enumerate(depths)
        for i in range(depth)
    ]
    return _layout(rows, 4 if stem == "imagenet" else 1)


# (expansion t, channels c, blocks n, stride s) of each stage; MnasNet-B1's kernel sizes are torchvision's own affair.
_MNASNET = ((3, 24, 3, 2), (3, 40, 3, 2), (6, 80, 3, 2), (6, 96, 2, 1), (6, 192, 4, 2), (6, 320, 1, 1))
_MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _inverted_residuals(
    settings: Sequence[tuple[int, int, int, int]],
    channels: int,
    width: float,
    stem: Stem,
    name: Callable[[int, int, int], str],
) -> BackboneLayout:
    rows: list[_Row] = []
    for stage, (expansion, out, blocks, stride) in enumerate(settings):
        for i in range(blocks):
            hidden, channels = channels * expansion, scaled_channels(out, width)
            rows.append(_Row(name(stage, i, len(rows)), stage, channels, hidden, stride if i == 0 else 1))
    return _layout(rows, 2 if stem == "imagenet" else 1)


@lru_cache
def _mnasnet(alpha: float, width: float, stem: Stem) -> BackboneLayout:
    first = scaled_channels(16, alpha)
    return _inverted_residuals(_MNASNET, first, alpha, stem, lambda stage, i, _: f"layers.{8 + stage}.{i}")


@lru_cache
def _mobilenet_v2(width: float, stem: Stem) -> BackboneLayout:
    first = scaled_channels(32, width)
    return _inverted_residuals(_MOBILENET_V2, first, width, stem, lambda stage, i, n: f"features.{n + 1}")


for _name, _depths, _expansion in (
    ("resnet18", (2, 2, 2, 2), 1),
    ("resnet34", (3, 4, 6, 3), 1),
    ("resnet50", (3, 4, 6, 3), 4),
    ("resnet101", (3, 4, 23, 3), 4),
    ("resnet152", (3, 8, 36, 3), 4),
):
    BACKBONES.register(_name)(partial(_resnet, _depths, _expansion))
for _name, _alpha in (("mnasnet0_5", 0.5), ("mnasnet0_75", 0.75), ("mnasnet1_0", 1.0), ("mnasnet1_3", 1.3)):
    BACKBONES.register(_name)(partial(_mnasnet, _alpha))
BACKBONES.register("mobilenet_v2")(_mobilenet_v2)
