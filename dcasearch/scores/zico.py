"""ZiCo: Li et al., "ZiCo: Zero-shot NAS via Inverse Coefficient of Variation on Gradients" (ICLR 2023), Eq. 18."""

from __future__ import annotations

import math

import torch
from torch import nn

from dcasearch.scores.base import SCORES, Batches, gradients


@SCORES.register("zico")
def zico(network: nn.Module, batches: Batches) -> float:
    """Return Σ over layers of ln Σ over weights of mean|g| / σ(g), over the batches' gradients g; two at least.

    Weights whose gradient is the same on every batch are left out, and so is a layer of only such weights. σ is that
    of the whole population, as in the released code.
    """
    if len(batches) < 2:
        raise ValueError("zico compares the gradients of several batches; there is one")
    of_each = zip(*(gradients(network, [batch]) for batch in batches), strict=True)
    total = 0.0
    for gradients_of_layer in of_each:
        g_N = torch.stack(gradients_of_layer).double()
        deviation = g_N.std(0, correction=0)
        varies = deviation > 0
        ratio = (g_N.abs().mean(0)[varies] / deviation[varies]).sum().item()
        total += math.log(ratio) if ratio > 0 else 0.0
    return total
