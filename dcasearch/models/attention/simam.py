"""SimAM (Yang et al., 2021, https://proceedings.mlr.press/v139/yang21o.html), a gate for every value.

Eq. 5 of the paper: a value t of a channel with M = HW values has the minimal energy e* = 4 (σ² + λ) / ((t - μ)² +
2σ² + 2λ), with the mean μ and the variance σ² over all M values. Eq. 6: X̃ = σ(1/E) ⊙ X.

Here 1/E is computed as (t - μ)² / (4 (σ² + λ)) + 1/2, which is the same.

Departs from the released code, whose σ² divides by M - 1: undefined on a map of one pixel. The paper divides by M.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dcasearch.architecture.kinds.simam import LAMBDA, NAME
from dcasearch.architecture.network import Node
from dcasearch.models.attention.base import ATTENTIONS, AttentionBlock, Branch, Extraction
from dcasearch.models.attention.statistics import wide
from dcasearch.models.backbones.base import Host


class InverseEnergy(Branch[Tensor]):
    """G: inverse energy 1/E (B, C, H, W). T: sigmoid. Fusion: multiply. The message is T ⊙ G, a map."""

    # G is 1/E, the only thing that the sigmoid reads, and at least 1/2. Between blocks of other widths its message
    # needs a 1x1 convolution at each position.

    def __init__(self, e_lambda: float) -> None:
        super().__init__()
        self.e_lambda = e_lambda

    def extract(self, features: Tensor) -> Extraction:
        """Return the inverse energies (B, C, H, W)."""
        x = wide(features)
        squares = (x - x.mean((2, 3), keepdim=True)).square()
        variance = squares.mean((2, 3), keepdim=True)
        return ((squares / (4 * (variance + self.e_lambda)) + 0.5).to(features.dtype),)

    def transform(self, extraction: Extraction) -> Tensor:
        """Return the gates (B, C, H, W)."""
        return torch.sigmoid(extraction[0])

    def fuse(self, features: Tensor, transformed: Tensor) -> Tensor:
        """Gate each value."""
        return features * transformed


@ATTENTIONS.register(NAME)
def simple_parameter_free(node: Node, host: Host) -> AttentionBlock:
    """Return SimAM for a block."""
    e_lambda = node.option(LAMBDA)
    assert isinstance(e_lambda, float)  # the declaration says so
    return AttentionBlock(neuron=InverseEnergy(e_lambda))
