"""Size matching (paper, section 3.3): layers that bring a message to its receiver's channels and resolution.

Shapes: a vector is (B, C), a map (B, C, H, W). Nothing is built where the sizes agree.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture.network import Matching, Resize


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of a vector (B, C), or of each position of a map (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x normalised over its channels."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)  # of a vector the identity


class StridedConvolution(nn.Conv2d):
    """A depth-wise convolution that divides the resolution by a factor f, rounding up; it starts as an average.

    The kernel of 2f-1 with padding f-1 sees every pixel and gives ⌈H/f⌉ at any H.
    """

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__(channels, channels, 2 * factor - 1, factor, padding=factor - 1, groups=channels, bias=False)

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


def downsampling(resize: Resize | None, channels: int) -> nn.Module:
    """Return what divides a map's resolution by a static factor, rounding up, so that any size matches."""
    if resize is None or resize.mode == "nearest":
        return nn.Identity()
    if resize.mode == "conv":
        return StridedConvolution(channels, resize.factor)
    if resize.mode == "max":
        return nn.MaxPool2d(resize.factor, ceil_mode=True)
    return nn.AvgPool2d(resize.factor, ceil_mode=True, count_include_pad=False)


def upsample(x: Tensor, like: Tensor) -> Tensor:
    """Return a map at the resolution of another, by nearest neighbour."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")
