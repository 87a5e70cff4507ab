"""SNIP: Lee et al., "SNIP: Single-shot Network Pruning based on Connection Sensitivity" (ICLR 2019).

As a score of networks: Abdelfattah et al. (ICLR 2021), section 3.2.
"""

from __future__ import annotations

from torch import nn

from dcasearch.scores.base import SCORES, Batches, gradients, layers


@SCORES.register("snip")
def snip(network: nn.Module, batches: Batches) -> float:
    """Return Σ |W ⊙ ∂L/∂W|: the derivative by a mask over the weights, at a mask of ones, without the mask."""
    found = zip(layers(network), gradients(network, batches), strict=True)
    return float(sum((layer.weight.detach() * gradient).abs().sum().item() for layer, gradient in found))
