"""SynFlow: Tanaka et al., "Pruning neural networks without any data by iteratively conserving synaptic flow" (2020).

As a score of networks: Abdelfattah et al. (ICLR 2021), section 3.2: one image of ones, absolute weights, no loss.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from dcasearch.models.layers import BatchNorm
from dcasearch.scores.base import SCORES, Batches, layers


@SCORES.register("synflow")
def synflow(network: nn.Module, batches: Batches) -> float:
    """Return log₁₀ Σ |W| ⊙ ∂R/∂|W| in double precision, R the sum of the logits for an image of ones.

    Norms (BatchNorm, LayerNorm) are passed by, as the `bn=False` of Abdelfattah's code does for BatchNorm: they would
    undo the products of weights that the score is made of. The logarithm changes no order and keeps what grows by
    orders of magnitude per layer within numbers that compare. Of the batches only the images' shape is used.

    Gates are not seen: without norms the maps grow so fast that every sigmoid is 1 to the last bit, so networks that
    differ in gates, or in connections between gates, mostly score alike to the last bit.
    """
    images, _ = batches[0]
    network.double().zero_grad(set_to_none=True)
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.abs_()
    before = network.training
    hooks = [_without(module) for module in network.modules() if isinstance(module, BatchNorm | nn.LayerNorm)]
    try:
        network.eval()
        with torch.enable_grad():
            network(torch.ones_like(images[:1], dtype=torch.float64)).sum().backward()
    finally:
        network.train(before)
        for hook in hooks:
            hook.remove()
    weights = [layer.weight for layer in layers(network)]
    flow = sum((weight.detach() * weight.grad).abs().sum().item() for weight in weights if weight.grad is not None)
    return math.log10(flow) if flow > 0 else -math.inf


def _without(norm: nn.Module) -> Any:
    """Let a norm return what it is given; return the handle that undoes it."""
    return norm.register_forward_hook(lambda module, inputs, output: inputs[0])
