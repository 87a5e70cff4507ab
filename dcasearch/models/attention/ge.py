"""GE: Gather-Excite (Hu et al., 2018, https://arxiv.org/abs/1810.12348).

θ⁻ gathers by averages and has no parameters, θ by depth-wise convolutions. θ⁺ gathers as θ does, and excites by two 1x1
convolutions before the sigmoid (all three in the paper's section on pairings).
The gather is read as the extraction G and the sigmoid as the transformation T, so that every form has a state
(the DCA paper says that GE-θ lacks the extraction). θ⁺'s excitation belongs to T. Gathered maps are brought back to X
by nearest neighbour.

timm has a ReLU between the gather's convolutions. Here there is none: θ⁺ differs from θ by the
excitation alone.

θ's message may be `upsampled` (`connections.ge_message`): its map is enlarged before the transformation, not after it.
Vanilla networks are the same in both forms, but a message is received and matched at X's resolution. The multiply-adds
of the paper's three rows with connected GE need that; it is there for them alone.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture.kinds.bottleneck import HIDDEN
from dcasearch.architecture.kinds.ge import EXTENT, MINUS, PLUS, THETA, UPSAMPLED
from dcasearch.architecture.network import Node
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
    """G: gathered map (B, C, ⌈H/e⌉, ⌈W/e⌉). T: excitation (θ⁺), sigmoid. Fusion: multiply, at X's resolution.

    The message is T ⊙ G at the gather's resolution. Where it is upsampled, G and T are (B, C, H, W).
    """

    def __init__(self, gather: nn.Module, excite: nn.Module | None = None, *, upsampled: bool = False) -> None:
        super().__init__()
        self.gather = gather
        self.excite = nn.Identity() if excite is None else excite
        self.upsampled = upsampled

    def extract(self, features: Tensor) -> Extraction:
        """Return the gathered map."""
        gathered = self.gather(features)
        return (_enlarged(gathered, features) if self.upsampled else gathered,)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates at the extraction's resolution."""
        return torch.sigmoid(self.excite(extraction[0]))

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each channel and neighbourhood."""
        return features * (transformed if self.upsampled else _enlarged(transformed, features))


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Return a gathered map at the resolution of another, by nearest neighbour."""
    return F.interpolate(x, size=like.shape[-2:], mode="nearest")


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


def _excitation(channels: int, width: int) -> nn.Module:
    """Excite each position by a bottleneck C -> C/r -> C, whose convolutions have biases as SE's layers have."""
    layers = OrderedDict(
        fc1=nn.Conv2d(channels, width, 1), relu=nn.ReLU(inplace=True), fc2=nn.Conv2d(width, channels, 1)
    )
    return nn.Sequential(layers)


@ATTENTIONS.register(MINUS)
def ge_theta_minus(node: Node, host: Host) -> AttentionBlock:
    """Return GE-θ⁻ for a block, global unless an extent is set."""
    is_global = node.option(EXTENT) is None
    return AttentionBlock(channel=GlobalExcite() if is_global else GatherExcite(_average(whole(node, EXTENT))))


@ATTENTIONS.register(THETA)
def ge_theta(node: Node, host: Host) -> AttentionBlock:
    """Return GE-θ for a block."""
    gather = _depthwise(node.layout.channels, whole(node, EXTENT))
    return AttentionBlock(channel=GatherExcite(gather, upsampled=node.form == UPSAMPLED))


@ATTENTIONS.register(PLUS)
def ge_theta_plus(node: Node, host: Host) -> AttentionBlock:
    """Return GE-θ⁺ for a block."""
    channels = node.layout.channels
    gather, excite = _depthwise(channels, whole(node, EXTENT)), _excitation(channels, whole(node, HIDDEN))
    return AttentionBlock(channel=GatherExcite(gather, excite))
