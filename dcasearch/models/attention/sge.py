"""SGE: Spatial Group-wise Enhance (Li et al., 2019, https://arxiv.org/abs/1905.09646), one spatial gate a group.

For one group of C/groups channels with the vectors x_i at m positions, in the paper's order (section 3, Eq. 1 to 5):
g = 1/m Σ x_i, c_i = g · x_i, ĉ_i = (c_i - μ_c) / (σ_c + ε), a_i = γ ĉ_i + β, x̂_i = x_i σ(a_i).

Departs from the released code, whose σ_c divides by m - 1: undefined on a map of one pixel. The paper divides by m.
The number of groups has to divide the channels: a block is built with the greatest common divisor of both.
γ starts at 0 and β at 1, as in the released code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dcasearch.architecture.kinds.groups import NAME as GROUPS
from dcasearch.architecture.kinds.sge import NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction, whole
from dcasearch.models.attention.statistics import standardized, wide
from dcasearch.models.backbones.base import Host

EPSILON = 1e-5


class GroupEnhance(Branch[Tensor]):
    """G: similarity c (B, groups, H, W). T: normalised over the positions, γ, β, sigmoid. Fusion: multiply.

    The message is T ⊙ G, a plane a group: the gate times the similarity that it was made of.
    """

    # A message is c and not ĉ: f(G, αP) comes before the normalisation, and G is what a message is fused with.

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.zeros(groups))
        self.bias = nn.Parameter(torch.ones(groups))

    def draw(self, generator: torch.Generator) -> None:
        """Set γ to 0 and β to 1."""
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.bias)

    def extract(self, features: Tensor) -> Extraction:
        """Return the similarity of each position with its group's mean (B, groups, H, W)."""
        groups_BGcN = torch.unflatten(features, 1, (self.groups, -1)).flatten(3)
        similarity_BGN = torch.matmul(groups_BGcN.mean(3)[:, :, None], groups_BGcN)[:, :, 0]
        return (torch.unflatten(similarity_BGN, 2, features.shape[-2:]),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates (B, groups, H, W)."""
        normalised = standardized(wide(extraction[0]), (2, 3), EPSILON)
        gates = torch.sigmoid(self.weight[:, None, None] * normalised + self.bias[:, None, None])
        return gates.to(extraction[0].dtype)

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each position of each group."""
        return (torch.unflatten(features, 1, (self.groups, -1)) * transformed[:, :, None]).flatten(1, 2)


@ATTENTIONS.register(NAME)
def group_enhance(node: Node, host: Host) -> AttentionBlock:
    """Return SGE for a block."""
    return AttentionBlock(spatial=GroupEnhance(whole(node, GROUPS)))
