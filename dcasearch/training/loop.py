"""The training loop: one epoch of optimiser steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from dcasearch.data import Batch, derived_seed
from dcasearch.errors import TrialFailure
from dcasearch.training.mixing import Mix
from dcasearch.training.network import TrainedNetwork
from dcasearch.training.optimizer import set_learning_rate
from dcasearch.training.ranks import ALONE, Ranks
from dcasearch.training.tasks import LearningTask

_STEPS_BETWEEN_CHECKS = 50
"""On an accelerator, where looking at the loss waits for it; on the CPU every step is looked at."""


@dataclass(frozen=True)
class Trained:
    """What one epoch of training measured."""

    loss: float
    """Mean over its images, as the task trains it (with label smoothing)."""
    images: int


@dataclass
class Progress:
    """How far an epoch has come; every step changes it."""

    loss: Tensor
    """Sum over this rank's images, on the device."""
    batches: int = 0
    """Of the loader, also those without a readable image."""
    images: int = 0
    """Of this rank."""


def train_epoch(
    network: TrainedNetwork,
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    rate: Callable[[int], float],
    task: LearningTask,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
    mix: Mix | None = None,
) -> Trained:
    """Train one epoch, or what is left of it.

    Args:
        network: is changed.
        optimizer: over the network's parameters; is changed.
        batches: of the epoch, this rank's share of each; those before `progress.batches` left out.
        rate: learning rate of each step of the epoch, from 0.
        task: the loss; its recipe has micro-batches and clipping.
        progress: how far the epoch has come; is changed after every step.
        ranks: those that train together; all of them make equally many steps.
        mix: applied to this rank's part of each batch.

    Raises:
        TrialFailure: `nan`, as soon as the loss of a rank is not finite.
    """
    network.model.train()
    progress = progress or Progress(torch.zeros((), device=network.device))
    check = 1 if network.device.type == "cpu" else _STEPS_BETWEEN_CHECKS
    for batch in batches:
        own = task.size(batch)
        sizes = ranks.sizes(own)
        if min(sizes):
            set_learning_rate(optimizer, rate(progress.batches))
            mixed = mix(progress.batches, batch) if mix else batch
            # The mean over the ranks' gradients shall be that of the mean loss over all images.
            weight = own * ranks.world / sum(sizes)
            progress.loss += _step(network, optimizer, _micro(mixed, task, min(sizes)), task, weight) * own
            progress.images += own
        progress.batches += 1
        if progress.batches % check == 0:
            _check_finite(progress, ranks)
    _check_finite(progress, ranks)
    images_seen = sum(ranks.sizes(progress.images))
    return Trained(ranks.sum(progress.loss).item() / images_seen, images_seen)


def _micro(batch: Batch, task: LearningTask, smallest: int) -> Sequence[Batch]:
    """Return a batch in micro-batches: as many on every rank, of which the smallest part has so many images."""
    count = min(task.recipe.accumulate, smallest)
    return task.parts(batch, count) if count > 1 else [batch]


def _step(
    network: TrainedNetwork,
    optimizer: torch.optim.Optimizer,
    micro: Sequence[Batch],
    task: LearningTask,
    weight: float,
) -> Tensor:
    """Make one optimiser step over all micro-batches; return the mean loss over this rank's images.

    Gradients are exchanged once, with the last of them.
    """
    optimizer.zero_grad(set_to_none=True)  # before the forward pass, which takes over the gradients' memory
    own = sum(map(task.size, micro))
    losses = []
    for number, batch in enumerate(micro, start=1):
        share = task.size(batch) / own
        with nullcontext() if number == len(micro) else network.keeping_gradients():
            losses.append(_backward(network, batch, task, weight * task.size(batch) / own) * share)
    if task.recipe.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(network.model.parameters(), task.recipe.clip_norm)
    optimizer.step()
    if network.ema is not None:
        network.ema.update_parameters(network.model)
    return torch.stack(losses).sum()


def _backward(network: TrainedNetwork, batch: Batch, task: LearningTask, weight: float) -> Tensor:
    """Add a micro-batch's weighted gradients; return its mean loss."""
    if network.cuda_graphs:
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]  # torch has no types here
    with network.autocast():
        outputs = task.forward(network.forward, *batch)
    loss = task.loss(outputs, batch[1])
    (loss * weight if weight != 1 else loss).backward()  # type: ignore[no-untyped-call]  # torch has no types here
    return loss.detach()


def _check_finite(progress: Progress, ranks: Ranks) -> None:
    if ranks.any(not torch.isfinite(progress.loss)):
        total = ranks.sum(progress.loss).item()
        raise TrialFailure("nan", f"the training loss is {total} by step {progress.batches} of the epoch")


@contextmanager
def epoch_random_state(seed: int, epoch: int, device: torch.device, rank: int = 0) -> Iterator[None]:
    """Seed torch's global generators (dropout) for one epoch of one rank; what they were before is put back.

    So nothing depends on what ran before in the process, nor on whether the training was interrupted.
    """
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derived_seed(seed, "dropout", epoch, *([rank] if rank else [])))
        yield


def random_state(device: torch.device) -> list[Tensor]:
    """Return the state of torch's global generators: the CPU's, then the accelerator's."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def set_random_state(state: list[Tensor], device: torch.device) -> None:
    """Put torch's global generators into a state; one of another kind of device sets what it can."""
    torch.set_rng_state(state[0].cpu())
    if device.type == "cuda" and len(state) > 1:
        torch.cuda.set_rng_state(state[1].cpu(), device)
