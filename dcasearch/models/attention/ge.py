"""GE: Gather-Excite (Hu et al., 2018, https://arxiv.org/abs/1810.12348).

θ⁻ gathers by averages and has no parameters, θ by depth-wise convolutions.
The gather is read as the extraction G and the sigmoid as the transformation T, so that both forms have a state
(the paper says that GE-θ lacks the extraction). Gathered maps are brought back to X by nearest neighbour.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture.kinds.ge import EXTENT, MINUS, THETA
from dcasearch.architecture.network import Block
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction, whole
from dcasearch.models.backbones.base import Host


class GlobalExcite(Branch[Tensor]):
    """G: global average (B, C). T: sigmoid. Fusion: multiply."""

    def extract(self, features: Tensor) -> Extraction:
        """Return the global average (B, C)."""
        return (features.mean((2, 3)),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates (B, C)."""
        return torch.sigmoid(extraction[0])

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each channel."""
        return features * transformed[:, :, None, None]


class GatherExcite(Branch[Tensor]):
    """G: gathered map (B, C, ⌈H/e⌉, ⌈W/e⌉). T: sigmoid. Fusion: multiply, at X's resolution."""

    def __init__(self, gather: nn.Module) -> None:
        super().__init__()
        self.gather = gather

    def extract(self, features: Tensor) -> Extraction:
        """Return the gathered map."""
        return (self.gather(features),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates at the gather's resolution."""
        return torch.sigmoid(extraction[0])

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each channel and neighbourhood."""
        return features * F.interpolate(transformed, size=features.shape[-2:], mode="nearest")


def _average(extent: int) -> nn.Module:
    """Average over (2e-1) x (2e-1) neighbourhoods, one every e pixels, as in the GE paper."""
    kernel = 2 * extent - 1
    return nn.AvgPool2d(kernel, extent, padding=kernel // 2, count_include_pad=False)


def _depthwise(channels: int, extent: int) -> nn.Module:
    """Halve the resolution log2(e) times: depth-wise 3x3 of stride 2 and BatchNorm, no activation between."""
    layers: list[nn.Module] = []
    for _ in range(extent.bit_length() - 1):
        layers += [nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)]
    return nn.Sequential(*layers)


@ATTENTIONS.register(MINUS)
def ge_theta_minus(block: Block, host: Host) -> AttentionBlock:
    """Return GE-θ⁻ for a block, global unless an extent is set."""
    is_global = block.option(EXTENT) is None
    return AttentionBlock(channel=GlobalExcite() if is_global else GatherExcite(_average(whole(block, EXTENT))))


@ATTENTIONS.register(THETA)
def ge_theta(block: Block, host: Host) -> AttentionBlock:
    """Return GE-θ for a block."""
    return AttentionBlock(channel=GatherExcite(_depthwise(block.layout.channels, whole(block, EXTENT))))
