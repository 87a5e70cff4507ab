"""NASWOT: Mellor et al., "Neural Architecture Search without Training" (ICML 2021), section 3."""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch
from torch import Tensor, nn

from dcasearch.scores.base import SCORES, Batches, scored_mode


@SCORES.register("naswot")
def naswot(network: nn.Module, batches: Batches) -> float:
    """Return ln |det K|, averaged over the batches.

    K[i, j] is the number of rectified units that images i and j switch alike, over all ReLU and ReLU6 modules each
    time they are called; the rectifiers inside the connection function `learned` are not modules and do not count.
    -inf where two images switch every unit alike.
    """
    return statistics.fmean(_log_determinant(network, images) for images, _ in batches)


@torch.no_grad()
def _log_determinant(network: nn.Module, images: Tensor) -> float:
    count = len(images)
    kernel = torch.zeros(count, count, dtype=torch.float64, device=images.device)

    def add(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        on_BN = (inputs[0].flatten(1) > 0).float()
        off_BN = 1 - on_BN
        # Sums of fewer than 2²⁴ ones: exact, whatever their order.
        kernel.add_(on_BN @ on_BN.T + off_BN @ off_BN.T)

    units = [module for module in network.modules() if isinstance(module, nn.ReLU | nn.ReLU6)]
    hooks = [unit.register_forward_pre_hook(add) for unit in units]
    try:
        with scored_mode(network):
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    sign, log = torch.linalg.slogdet(kernel)
    return log.item() if sign != 0 else -math.inf
