"""Norm of the gradient: Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS" (ICLR 2021), section 3.1."""

from __future__ import annotations

from torch import nn

from dcasearch.scores.base import SCORES, Batches, gradients


@SCORES.register("grad_norm")
def grad_norm(network: nn.Module, batches: Batches) -> float:
    """Return Σ over layers of ‖∂L/∂W‖₂, as their code has it (the text has one norm over all weights)."""
    return float(sum(gradient.norm().item() for gradient in gradients(network, batches)))
