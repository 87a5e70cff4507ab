"""CBAM: Convolutional Block Attention Module (Woo et al., 2018, https://arxiv.org/abs/1807.06521).

Channel first, then spatial on the channel-gated map. The spatial gate's BatchNorm starts at weight 1; the
released DCANet code starts it at 0, which silences that gate for ever.

Maxima keep their index: the gradient of `amax` takes several passes over the map, seven times as long on a CPU. Pooling
by the map's size would bind an exported program to one image size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds.bottleneck import HIDDEN
from dcasearch.architecture.kinds.cbam import NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction, whole
from dcasearch.models.backbones.base import Host


class ChannelGate(Branch[Tensor]):
    """G: global average and global maximum (B, C). T: one MLP on both, summed, sigmoid (B, C). Fusion: multiply.

    The message is T ⊙ average; a received one is fused with the average and with the maximum.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, width)
        self.relu = nn.ReLU(inplace=True)
        self.fc2 = nn.Linear(width, channels)

    def extract(self, features: Tensor) -> Extraction:
        """Return the average and the maximum (B, C)."""
        return features.mean((2, 3)), features.flatten(2).max(2).values

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates (B, C)."""
        descriptors_B2C = torch.stack(extraction, 1)
        return torch.sigmoid(self.fc2(self.relu(self.fc1(descriptors_B2C))).sum(1))

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each channel."""
        return features * transformed[:, :, None, None]


class SpatialGate(Branch[Tensor]):
    """G: maximum and mean over channels (B, 2, H, W). T: 7x7 convolution, BatchNorm, sigmoid (B, 1, H, W)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3, bias=False)
        self.norm = nn.BatchNorm2d(1)

    def extract(self, features: Tensor) -> Extraction:
        """Return the maximum and the mean over channels."""
        return (torch.cat((features.max(1, keepdim=True).values, features.mean(1, keepdim=True)), 1),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates (B, 1, H, W)."""
        return torch.sigmoid(self.norm(self.conv(extraction[0])))

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each position."""
        return features * transformed


@ATTENTIONS.register(NAME)
def cbam(node: Node, host: Host) -> AttentionBlock:
    """Return CBAM for a block."""
    return AttentionBlock(channel=ChannelGate(node.layout.channels, whole(node, HIDDEN)), spatial=SpatialGate())
