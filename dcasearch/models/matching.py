"""Size matching (paper, section 3.3): layers that bring a message to its receiver's channels and resolution.

Shapes: a vector is (B, C), a map (B, C, H, W). Nothing is built where the sizes agree.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture.kinds import Port
from dcasearch.architecture.network import Matching, Resize


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of a vector (B, C), or of each position of a map (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised over its channels."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)  # of a vector the identity


class StridedConvolution(nn.Conv2d):
    """A depth-wise convolution that divides the resolution by a factor f, rounding up; it starts as an average.

    The kernel of 2f-1 with padding f-1 sees every pixel and gives ⌈H/f⌉ at any H; an axis of factor 1 stays.
    """

    def __init__(self, channels: int, factors: tuple[int, int]) -> None:
        kernel, padding = (2 * factors[0] - 1, 2 * factors[1] - 1), (factors[0] - 1, factors[1] - 1)
        super().__init__(channels, channels, kernel, factors, padding=padding, groups=channels, bias=False)

    def draw(self, generator: torch.Generator) -> None:
        """Set the kernel to an average."""
        nn.init.constant_(self.weight, 1 / self.weight[0].numel())


def channel_matching(matching: Matching | None, on_map: bool) -> nn.Module:
    """Return the layers C' -> C (fc) or C' -> hidden -> C (fc2), for a vector or for each position of a map."""
    if matching is None:
        return nn.Identity()
    if matching.hidden is None:
        return nn.Sequential(OrderedDict(_layer(matching, "", matching.source, matching.target, True, on_map)))
    return nn.Sequential(
        OrderedDict(
            _layer(matching, "1", matching.source, matching.hidden, True, on_map)
            | _layer(matching, "2", matching.hidden, matching.target, matching.norm_at == "all", on_map)
        )
    )


def _layer(
    matching: Matching, number: str, source: int, target: int, norm_act: bool, on_map: bool
) -> dict[str, nn.Module]:
    """Return one fully connected layer with its norm and activation, named so that options do not rename it."""
    layers: dict[str, nn.Module] = {
        f"fc{number}": nn.Conv2d(source, target, 1, bias=matching.bias)
        if on_map
        else nn.Linear(source, target, bias=matching.bias)
    }
    if norm_act and matching.norm != "none":
        batch_norm = nn.BatchNorm2d if on_map else nn.BatchNorm1d
        layers[f"norm{number}"] = batch_norm(target) if matching.norm == "bn" else ChannelNorm(target)
    if norm_act and matching.act == "relu":
        layers[f"act{number}"] = nn.ReLU(inplace=True)
    return layers


def downsampling(resize: Resize | None, channels: int, axes: Collection[str] = ("H", "W")) -> nn.Module:
    """Return what divides a map's resolution along `axes` by a static factor, rounding up, so that any size matches."""
    if resize is None or resize.mode == "nearest":
        return nn.Identity()
    factors = tuple(resize.factor if axis in axes else 1 for axis in ("H", "W"))
    pair = factors[0], factors[1]
    if resize.mode == "conv":
        return StridedConvolution(channels, pair)
    if resize.mode == "max":
        return nn.MaxPool2d(pair, ceil_mode=True)
    return nn.AvgPool2d(pair, ceil_mode=True, count_include_pad=False)


@dataclass(frozen=True)
class AxisChange:
    """What a message's axes lose on its way, and what is repeated for axes that it lacks."""

    averaged: tuple[int, ...]
    """Axes of the sender's tensor that the receiver lacks; both for a vector."""
    to_vector: bool
    """Whether those axes go altogether, since the receiver takes (B, C)."""
    from_vector: bool
    spread: bool
    """Whether the receiver has axes that the sender lacks."""
    mean_plane: bool
    """Whether the ends have different numbers of planes: then the sender's mean plane is sent."""

    @classmethod
    def between(cls, sender: Port, receiver: Port) -> AxisChange:
        """Return what changes between two ends; `kinds.obstacle` has found that it can."""
        to_vector = bool(sender.axes) and not receiver.axes
        lost = (n for n, axis in ((2, "H"), (3, "W")) if axis in sender.axes and axis not in receiver.axes)
        return cls(
            averaged=(2, 3) if to_vector else tuple(lost),
            to_vector=to_vector,
            from_vector=bool(receiver.axes) and not sender.axes,
            spread=not set(receiver.axes) <= set(sender.axes),
            mean_plane=receiver.planes and sender.channels != receiver.channels,
        )

    def shrink(self, message: Tensor) -> Tensor:
        """Average away the axes that the receiver lacks."""
        return message.mean(self.averaged, keepdim=not self.to_vector) if self.averaged else message

    def expand(self, message: Tensor, like: Tensor) -> Tensor:
        """Repeat along the axes, and over the planes, that the sender lacks."""
        if self.from_vector:
            message = message[:, :, None, None]
        if self.mean_plane:
            message = message.mean(1, keepdim=True)
        return message.expand_as(like) if self.spread or self.mean_plane else message


def upsample(x: Tensor, like: Tensor) -> Tensor:
    """Return a map at the resolution of another, by nearest neighbour."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")
