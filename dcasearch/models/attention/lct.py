"""LCT: Linear Context Transform (Ruan et al., 2020, https://arxiv.org/abs/1909.03834), a gate without a bottleneck.

In the paper's order (its section on the LCT block): z_k is channel k's global average. The normalisation takes
group i's m = C/groups averages: μ_i = 1/m Σ z_n, σ_i = √(1/m Σ (z_n - μ_i)² + ε), ẑ = (z - μ_i) / σ_i. The
transform is a_k = w_k ẑ_k + b_k, and y_k = x_k σ(a_k).

Departs from the paper in narrow networks alone: the number of groups is cut so that it divides the channels and
leaves four channels a group, as many as 64 groups leave in ResNet-50's first stage. A group of one
channel would have ẑ = 0. w starts at 0 and b at 1, so that all gates start equal, as SGE's do.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture.kinds.groups import NAME as GROUPS
from dcasearch.architecture.kinds.lct import NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction, whole
from dcasearch.models.backbones.base import Host

EPSILON = 1e-5


class LinearContext(Branch[Tensor]):
    """G: global average (B, C). T: normalised over groups of channels, w, b, sigmoid (B, C). Fusion: multiply.

    The message is T ⊙ G, as SE's.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.ones(channels))

    def draw(self, generator: torch.Generator) -> None:
        """Set w to 0 and b to 1."""
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.bias)

    def extract(self, features: Tensor) -> Extraction:
        """Return the global average (B, C)."""
        return (features.mean((2, 3)),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates (B, C)."""
        return torch.sigmoid(F.group_norm(extraction[0], self.groups, self.weight, self.bias, EPSILON))

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each channel."""
        return features * transformed[:, :, None, None]


@ATTENTIONS.register(NAME)
def linear_context(node: Node, host: Host) -> AttentionBlock:
    """Return LCT for a block."""
    return AttentionBlock(channel=LinearContext(node.layout.channels, whole(node, GROUPS)))
