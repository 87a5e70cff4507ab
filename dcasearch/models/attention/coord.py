"""Coordinate Attention (Hou et al., 2021, https://arxiv.org/abs/2103.02907), a gate a row and a gate a column.

Eq. 4 and 5 of the paper: z^h is the mean of each row, z^w the mean of each column. Eq. 6: f = δ(F_1([z^h, z^w])), a
1x1 convolution C -> C/r on both strips in a row, with BatchNorm (Fig. 2) and hard-swish as δ. Eq. 7 and 8: g^h =
σ(F_h(f^h)) and g^w = σ(F_w(f^w)), 1x1 convolutions C/r -> C. Eq. 9: y(i, j) = x(i, j) g^h(i) g^w(j).

As in the released code C/r is at least 8, and r is 32. Departs from that code: F_1 has no bias, since the BatchNorm
that follows subtracts it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds import Dimension
from dcasearch.architecture.kinds.bottleneck import HIDDEN
from dcasearch.architecture.kinds.coord import NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction, JointAttention, whole
from dcasearch.models.backbones.base import Host


class Strip(Branch[Tensor]):
    """G: mean over one axis (B, C, H, 1) or (B, C, 1, W). T: F_h or F_w of the strip's part of f, sigmoid.

    The message is T ⊙ G: a strip reaches the strips of its own axis alone, so that a position stays a position.
    """

    def __init__(self, averaged: int, channels: int, width: int) -> None:
        super().__init__()
        self.averaged = averaged
        self.conv = nn.Conv2d(width, channels, 1)

    def extract(self, features: Tensor) -> Extraction:
        """Return the strip."""
        return (features.mean(self.averaged, keepdim=True),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates; `extraction` is this strip's part of f, with C/r channels."""
        return torch.sigmoid(self.conv(extraction[0]))


class CoordinateAttention(JointAttention):
    """Both strips gate one map. F_1 and its BatchNorm see both at once, so they belong to the block."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(height=Strip(3, channels, width), width=Strip(2, channels, width))
        self.conv = nn.Conv2d(channels, width, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.act = nn.Hardswish(inplace=True)

    def transform(self, extractions: Mapping[Dimension, Extraction]) -> Mapping[Dimension, Tensor]:
        """Return the gates of the rows (B, C, H, 1) and of the columns (B, C, 1, W)."""
        (rows_BCH1,), (columns_BC1W,) = (extractions[dimension] for dimension in self.dimensions)
        both = torch.cat((rows_BCH1, columns_BC1W.transpose(2, 3)), 2)
        both = self.act(self.norm(self.conv(both)))
        height = rows_BCH1.shape[2]
        shared = both[:, :, :height], both[:, :, height:].transpose(2, 3)
        return {d: self.part(d)((f,)) for d, f in zip(self.dimensions, shared, strict=True)}

    def fuse(self, features: Tensor, transformed: Mapping[Dimension, Tensor]) -> Tensor:
        """Gate each position by its row and by its column."""
        rows, columns = (transformed[dimension] for dimension in self.dimensions)
        return features * rows * columns


@ATTENTIONS.register(NAME)
def coordinate_attention(node: Node, host: Host) -> AttentionBlock:
    """Return Coordinate Attention for a block."""
    return CoordinateAttention(node.layout.channels, whole(node, HIDDEN))
