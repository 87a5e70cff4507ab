"""The moving average of a network's parameters and buffers, updated without a wait for the GPU."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class MovingAverage(AveragedModel):
    """torch's exponential moving average, with equal numbers and an equal state.

    torch's own update copies the number of updates to the device at every step, which the CPU waits for. The
    number is on the CPU, and an exponential average does not need it on the device.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Copy the model; the copy becomes `module`.

        Args:
            model: on the device where it is trained.
            decay: share of the average that a step keeps.
        """
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch has no types here
        super().__init__(model, multi_avg_fn=average, use_buffers=True)

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Take over a model's values at the first call; at each later one move towards them."""
        mine = chain(self.module.parameters(), self.module.buffers())
        theirs = chain(model.parameters(), model.buffers())
        groups: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = defaultdict(lambda: ([], []))
        for average, value in zip(mine, theirs, strict=True):
            groups[average.dtype][0].append(average.detach())
            groups[average.dtype][1].append(value.detach())
        begun = int(self.n_averaged) > 0  # of a tensor on the CPU
        for averages, values in groups.values():
            if begun and self.multi_avg_fn is not None:
                self.multi_avg_fn(averages, values, int(self.n_averaged))
            else:
                for average, value in zip(averages, values, strict=True):
                    average.copy_(value)
        self.n_averaged += 1
