"""A backbone as a list of blocks: stages, channels and strides, without building a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
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
    """Channels of its k x k convolution, which attention may replace."""
    stride: int
    """Stride from the block's input to its output."""
    scale: int
    """Product of all strides from the image to the block's output."""
    _: KW_ONLY
    output: tuple[int, int] | None = None
    """Channels and scale of the block's output, where attention stands at another map: then `channels` and `scale` are
    that map's. Only in networks of libraries."""
    lane: int = 0
    """Which of several parallel branches the block stands in; connections join blocks of one lane."""

    @property
    def at_output(self) -> BlockLayout:
        """The block as its output shows it."""
        if self.output is None:
            return self
        channels, scale = self.output
        return replace(self, channels=channels, scale=scale, output=None)


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

    def ends_stage(self, n: int) -> bool:
        """Tell whether block n is the last of its stage."""
        return n == len(self.blocks) - 1 or self.blocks[n + 1].stage != self.blocks[n].stage


@dataclass(frozen=True, kw_only=True)
class BackboneFamily:
    """One backbone by name: its layout, and what the rest of the package must know of its family."""

    layout: Callable[[float, Stem], BackboneLayout]
    """(width multiplier, stem) -> layout."""
    family: str
    """For messages, e.g. `resnet`."""
    widths: tuple[str, ...] = ()
    """Names of the family's widths, where the width is in the name: then no other multiplier than 1 is taken."""
    depth: int | None = None
    """Layers with weights on the main path, where the family is named by them."""
    few_classes: Mapping[str, int] = field(default_factory=dict)
    """What an evaluation key says of a classifier below ImageNet's classes; it changed after the first records."""

    def __call__(self, width: float, stem: Stem) -> BackboneLayout:
        """Return the layout."""
        return self.layout(width, stem)


BACKBONES: Registry[BackboneFamily] = Registry("a backbone")


def family_of(name: str) -> BackboneFamily | None:
    """Return what is known of a backbone's family; None for a network of a library."""
    known = name in BACKBONES  # a look-up that misses is an error
    return BACKBONES[name] if known else None


@dataclass(frozen=True, slots=True)
class Row:
    """A block before its scale is known."""

    name: str
    stage: int
    channels: int
    width: int
    stride: int


def make_layout(rows: Sequence[Row], stem_stride: int) -> BackboneLayout:
    """Return the layout of blocks in network order."""
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


def inverted_residuals(
    settings: Sequence[tuple[int, int, int, int]],
    channels: int,
    width: float,
    stem: Stem,
    name: Callable[[int, int, int], str],
) -> BackboneLayout:
    """Return the layout of stages of inverted residuals.

    Args:
        settings: (expansion t, channels c, blocks n, stride s) of each stage.
        channels: channels of the first block's input.
        width: multiplies all channels.
        stem: the small stem has stride 1.
        name: (stage, block in the stage, blocks before) -> the block's module path.
    """
    rows: list[Row] = []
    for stage, (expansion, out, blocks, stride) in enumerate(settings):
        for i in range(blocks):
            hidden, channels = channels * expansion, scaled_channels(out, width)
            rows.append(Row(name(stage, i, len(rows)), stage, channels, hidden, stride if i == 0 else 1))
    return make_layout(rows, 2 if stem == "imagenet" else 1)
