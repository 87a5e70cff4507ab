"""SRM: Style-based Recalibration Module (Lee et al., 2019, https://arxiv.org/abs/1903.10829).

In the paper's order (section 3): style pooling t = [μ, σ] over the map of each channel, then style integration: the
channel-wise fully connected layer z_c = w_c · t_c, BatchNorm, sigmoid; x̂ = g x.

Departs from the released code, whose σ divides by HW - 1: undefined on a map of one pixel. The paper divides by HW.
w starts at 0, as in the released code: the BatchNorm scales what z becomes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds.srm import NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction
from dcasearch.models.attention.statistics import moments, wide
from dcasearch.models.backbones.base import Host


class ChannelwiseLinear(nn.Module):
    """z_c = w_c · t_c: one weight a channel for its mean, and one for its deviation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, 2))

    def draw(self, generator: torch.Generator) -> None:
        """Set the weights to 0."""
        nn.init.zeros_(self.weight)

    def forward(self, mean: Tensor, deviation: Tensor) -> Tensor:
        """Return z (B, C)."""
        return mean * self.weight[:, 0] + deviation * self.weight[:, 1]


class StyleRecalibration(Branch[Tensor]):
    """G: mean and standard deviation (B, C). T: channel-wise layer, BatchNorm, sigmoid (B, C). Fusion: multiply.

    The message is T ⊙ mean. A received one is fused with the mean and with the deviation, by the same f.
    """

    # The style is two numbers a channel, as the average and the maximum of CBAM. CBAM's rule holds here too: the
    # message has the mean's scale, and both numbers receive.

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = ChannelwiseLinear(channels)
        self.norm = nn.BatchNorm1d(channels)

    def extract(self, features: Tensor) -> Extraction:
        """Return the mean and the standard deviation of each channel (B, C)."""
        return tuple(style.flatten(1).to(features.dtype) for style in moments(wide(features), (2, 3)))

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates (B, C)."""
        return torch.sigmoid(self.norm(self.fc(*extraction)))

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each channel."""
        return features * transformed[:, :, None, None]


@ATTENTIONS.register(NAME)
def style_recalibration(node: Node, host: Host) -> AttentionBlock:
    """Return SRM for a block."""
    return AttentionBlock(channel=StyleRecalibration(node.layout.channels))
