"""The training loop: one epoch of optimiser steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from dcasearch.config.recipe import Recipe
from dcasearch.data import Batch, derived_seed
from dcasearch.errors import TrialFailure
from dcasearch.training.network import TrainedNetwork
from dcasearch.training.optimizer import set_learning_rate

_STEPS_BETWEEN_CHECKS = 50
"""On an accelerator, where looking at the loss waits for it; on the CPU every step is looked at."""


@dataclass(frozen=True)
class Trained:
    """What one epoch of training measured."""

    loss: float
    """Mean over its images, with label smoothing."""
    images: int


def train_epoch(
    network: TrainedNetwork,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    rate: Callable[[int], float],
    recipe: Recipe,
) -> Trained:
    """Train one epoch.

    Args:
        network: is changed.
        optimizer: over the network's parameters; is changed.
        batches: of the epoch.
        rate: learning rate of each step of the epoch, from 0.
        recipe: label smoothing and clipping.

    Raises:
        TrialFailure: `nan`, as soon as the loss is not finite.
    """
    network.model.train()
    total = torch.zeros((), device=network.device)
    check = 1 if network.device.type == "cpu" else _STEPS_BETWEEN_CHECKS
    images_seen = 0
    for step, (images, labels) in enumerate(batches):
        set_learning_rate(optimizer, rate(step))
        with network.autocast():
            logits = network.forward(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stub has no types here
        if recipe.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(network.model.parameters(), recipe.clip_norm)
        optimizer.step()
        if network.ema is not None:
            network.ema.update_parameters(network.model)
        total += loss.detach() * len(labels)
        images_seen += len(labels)
        if (step + 1) % check == 0:
            _check_finite(total, step + 1)
    _check_finite(total, step + 1)
    return Trained(total.item() / images_seen, images_seen)


def _check_finite(total: torch.Tensor, step: int) -> None:
    if not torch.isfinite(total):
        raise TrialFailure("nan", f"the training loss is {total.item()} by step {step} of the epoch")


@contextmanager
def epoch_random_state(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators (dropout) for one epoch; what they were before is put back.

    So nothing depends on what ran before in the process, nor on whether the training was interrupted.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derived_seed(seed, "dropout", epoch))
        yield
