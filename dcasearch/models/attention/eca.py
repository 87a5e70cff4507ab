"""ECA: Efficient Channel Attention (Wang et al., 2020, https://arxiv.org/abs/1910.03151), a gate without a bottleneck.

T includes the sigmoid, as SE's does, so that the message T ⊙ G has the scale of what it is fused with.

Departs from the paper: it stands where SE stands here, on the residual branch's output in the light networks too. The
convolution starts as in the released code, from nn.Conv1d's own distribution.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds.eca import KERNEL_SIZE, NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction, whole
from dcasearch.models.backbones.base import Host


class ChannelConvolution(nn.Conv1d):
    """A convolution over the channels of a vector (B, C), zero beyond the first and the last."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__(1, 1, kernel_size, padding=kernel_size // 2, bias=False)

    def draw(self, generator: torch.Generator) -> None:
        """Draw nn.Conv1d's own distribution."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5), generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return a vector (B, C)."""
        return super().forward(x[:, None])[:, 0]


class EfficientChannel(Branch[Tensor]):
    """G: global average (B, C). T: convolution of kernel k over the channels, sigmoid. Fusion: multiply."""

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.conv = ChannelConvolution(kernel_size)

    def extract(self, features: Tensor) -> Extraction:
        """Return the global average (B, C)."""
        return (features.mean((2, 3)),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates (B, C)."""
        return torch.sigmoid(self.conv(extraction[0]))

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each channel."""
        return features * transformed[:, :, None, None]


@ATTENTIONS.register(NAME)
def efficient_channel(node: Node, host: Host) -> AttentionBlock:
    """Return ECA for a block."""
    return AttentionBlock(channel=EfficientChannel(whole(node, KERNEL_SIZE)))
