"""BAM: Bottleneck Attention Module (Park et al., 2018, https://arxiv.org/abs/1807.06514), between stages.

X' = X (1 + σ(Mc + Ms)): a channel branch Mc (B, C) and a spatial branch Ms (B, 1, H, W), added as in the paper. The
released code multiplies the two branches. Norms are where the released code has them; the paper's equations have one
more at the end of each branch. A bottleneck has at least 4 channels here, since norms follow.

The channel branch extracts the average, as SE does. The spatial branch is read like GE's gather: its convolutions are
the extraction, their result is one plane, and the transformation leaves it as it is. So a spatial message is one
plane. The reduced map inside the branch has C/r planes. Their number differs between stages, where only their mean
could be sent.

The sigmoid is of both branches' sum, so no T is squashed by itself. A message is σ(T) ⊙ G: the gate of that branch
alone. It then has the scale of what it is fused with.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds import Dimension
from dcasearch.architecture.kinds.bam import DILATION, NAME
from dcasearch.architecture.kinds.bottleneck import HIDDEN
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import (
    ATTENTIONS,
    AttentionBlock,
    Branch,
    Extraction,
    JointAttention,
    Message,
    whole,
)
from dcasearch.models.backbones.base import Host


class Unsquashed(Branch[Tensor]):
    """A branch whose T is added to another's before the sigmoid."""

    def message(self, extraction: Extraction, transformed: Tensor) -> Message:
        """Return σ(T) ⊙ G."""
        return (torch.sigmoid(transformed) * extraction[0],)


class ChannelBottleneck(Unsquashed):
    """G: global average (B, C). T: C -> C/r, BatchNorm, ReLU, -> C."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, width)
        self.norm = nn.BatchNorm1d(width)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(width, channels)

    def extract(self, features: Tensor) -> Extraction:
        """Return the global average (B, C)."""
        return (features.mean((2, 3)),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the channels' share of the gate (B, C)."""
        return self.fc2(self.relu(self.norm(self.fc1(extraction[0]))))


class DilatedPlane(Unsquashed):
    """G: C -> C/r, two dilated 3x3 convolutions, -> one plane (B, 1, H, W). T: G itself."""

    def __init__(self, channels: int, width: int, dilation: int) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict(reduce=nn.Conv2d(channels, width, 1))
        layers |= {"norm": nn.BatchNorm2d(width), "relu": nn.ReLU(inplace=True)}
        for n in (1, 2):
            layers[f"conv{n}"] = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation)
            layers |= {f"norm{n}": nn.BatchNorm2d(width), f"relu{n}": nn.ReLU(inplace=True)}
        layers["plane"] = nn.Conv2d(width, 1, 1)
        self.layers = nn.Sequential(layers)

    def extract(self, features: Tensor) -> Extraction:
        """Return the plane (B, 1, H, W)."""
        return (self.layers(features),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the positions' share of the gate (B, 1, H, W)."""
        return extraction[0]


class BottleneckAttention(JointAttention):
    """Both branches on one map, which they gate together."""

    def fuse(self, features: Tensor, transformed: Mapping[Dimension, Tensor]) -> Tensor:
        """Return X (1 + σ(Mc + Ms))."""
        channel, spatial = transformed.values()
        return features * (1 + torch.sigmoid(channel[:, :, None, None] + spatial))


@ATTENTIONS.register(NAME)
def bottleneck_attention(node: Node, host: Host) -> AttentionBlock:
    """Return BAM after a stage."""
    channels, width = node.layout.channels, whole(node, HIDDEN)
    return BottleneckAttention(
        channel=ChannelBottleneck(channels, width), spatial=DilatedPlane(channels, width, whole(node, DILATION))
    )
