"""What a score is, and what those that look at gradients share.

Networks are scored in training mode, so BatchNorm uses the batch's own statistics, and without dropout, which would
only add noise. A "layer" is a convolution or a fully connected layer, as in the code of Abdelfattah et al., "Zero-Cost
Proxies for Lightweight NAS" (ICLR 2021): α and the mixing weights of connections are not counted, what they let
through is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.models.layers import Dropout
from dcasearch.registry import Registry

Batches: TypeAlias = Sequence[tuple[Tensor, Tensor]]
"""Images (B, 3, R, R), normalised, and labels (B,), of one device."""


class Score(Protocol):
    """Higher is better. The network is the score's to spoil: it is thrown away afterwards."""

    def __call__(self, network: nn.Module, batches: Batches) -> float:
        """Return the score of an untrained network."""


SCORES: Registry[Score] = Registry("a zero-cost score")


def layers(network: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """Return the convolutions and fully connected layers, each once, in the network's order."""
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear)]


@contextmanager
def scored_mode(network: nn.Module) -> Iterator[None]:
    """Put a network into training mode without dropout, and its mode back afterwards."""
    before = network.training
    network.train()
    for module in network.modules():
        if isinstance(module, Dropout):
            module.eval()
    try:
        yield
    finally:
        network.train(before)


def gradients(network: nn.Module, batches: Batches) -> list[Tensor]:
    """Return the gradient of the mean cross-entropy over all batches, per layer's weight; 0 where nothing flows.

    BatchNorm's statistics are each batch's own; batches are of equal size.
    """
    network.zero_grad(set_to_none=True)
    with scored_mode(network), torch.enable_grad():
        for images, labels in batches:
            loss = F.cross_entropy(network(images), labels) / len(batches)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
    return [torch.zeros_like(layer.weight) if (g := layer.weight.grad) is None else g for layer in layers(network)]
