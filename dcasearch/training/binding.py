"""Whether a checkpoint is of the training that would go on from it: its shapes, its history, its values."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dcasearch.config.recipe import Recipe
from dcasearch.evaluation import Epoch
from dcasearch.metrics import METRICS
from dcasearch.training.optimizer import make_optimizer
from dcasearch.training.parts import settle_parts

if TYPE_CHECKING:  # it calls this module
    from dcasearch.training.checkpoint import Checkpoint, MidEpoch

_FREE = ("lr", "fused", "foreach", "initial_lr", "params")
"""Settings of an optimiser that change from step to step, or from one device or version of torch to another."""

_KEPT = ("momentum_buffer", "exp_avg", "exp_avg_sq")
"""What SGD and AdamW keep of each parameter, in its shape."""

_MARKS = {"momentum", "betas"}
"""Settings that SGD alone has, and AdamW alone."""


class Unfit(ValueError):
    """A checkpoint that no training may go on from, or not this one; the message says why."""


@dataclass(frozen=True, eq=False)
class Fit:
    """What the checkpoint of one training must look like."""

    shapes: Mapping[str, torch.Size]
    """Of the network's parameters and buffers."""
    groups: list[dict[str, Any]]
    """Of the optimiser, each with its settings and the numbers of its parameters."""
    parameters: list[torch.Size]
    """By the optimiser's numbers."""
    ema: bool
    """Whether the recipe keeps a moving average."""
    epochs: int
    """The history has no more of them."""
    steps: int
    """Batches of one epoch."""

    @classmethod
    def of(cls, model: nn.Module, recipe: Recipe, *, epochs: int, steps: int) -> Fit:
        """Return what the checkpoints of a network of this shape look like; the network is changed as its parts are."""
        settle_parts(model, recipe)
        optimizer = make_optimizer(model, recipe)
        return cls(
            shapes={name: tensor.shape for name, tensor in model.state_dict().items()},
            groups=optimizer.state_dict()["param_groups"],
            parameters=[parameter.shape for group in optimizer.param_groups for parameter in group["params"]],
            ema=recipe.ema is not None,
            epochs=epochs,
            steps=steps,
        )

    def check(self, checkpoint: Checkpoint) -> None:
        """Raise Unfit where a checkpoint is not of such a training."""
        self._check_shapes("the network", checkpoint.model)
        if (checkpoint.ema is not None) != self.ema:
            raise Unfit("the recipe and the checkpoint differ in whether there is a moving average")
        if checkpoint.ema is not None:
            inner = {name.removeprefix("module."): value for name, value in checkpoint.ema.items()}
            inner.pop("n_averaged", None)
            self._check_shapes("the moving average", inner)
        self._check_optimizer(checkpoint.optimizer)
        done = len(checkpoint.history)
        if done + (checkpoint.middle is not None) > self.epochs:
            raise Unfit(f"it holds {done} epochs and more, the training has {self.epochs}")
        if checkpoint.middle is not None and checkpoint.middle.batches > self.steps:
            raise Unfit(f"it is {checkpoint.middle.batches} batches into an epoch of {self.steps}")

    def _check_shapes(self, what: str, found: Mapping[str, Any]) -> None:
        differing = sorted(name for name, shape in self.shapes.items() if _shape(found.get(name)) != shape)
        differing += sorted(found.keys() - self.shapes.keys())
        if differing:
            raise Unfit(f"{what} has another shape: {len(differing)} tensors differ, first {differing[0]}")

    def _check_optimizer(self, found: Mapping[str, Any]) -> None:
        groups = found["param_groups"]
        if [group["params"] for group in groups] != [group["params"] for group in self.groups]:
            raise Unfit("the optimiser has other parameters")
        for group, own in zip(groups, self.groups, strict=True):
            if group.keys() & _MARKS != own.keys() & _MARKS:
                raise Unfit("the optimiser is another one")
            # An older torch knows fewer settings.
            for name in sorted((group.keys() & own.keys()) - {*_FREE}):
                if group[name] != own[name]:
                    raise Unfit(f"the optimiser's {name} is {group[name]}, the recipe's {own[name]}")
        for number, state in found["state"].items():
            if not 0 <= number < len(self.parameters):
                raise Unfit("the optimiser has other parameters")
            kept = (_shape(value) for name, value in state.items() if name in _KEPT)
            if any(shape not in (None, self.parameters[number]) for shape in kept):
                raise Unfit(f"the optimiser's state of parameter {number} has another shape")


def check_whole(checkpoint: Checkpoint) -> None:
    """Raise Unfit where a checkpoint cannot come from any training: a forged history, NaN in its tensors."""
    history, middle = checkpoint.history, checkpoint.middle
    if [epoch.epoch for epoch in history] != list(range(1, len(history) + 1)):
        raise Unfit("the epochs of its history are not 1, 2, 3 …")
    if not all(map(_is_measured, history)):
        raise Unfit("its history holds values that no epoch can have")
    if len(checkpoint.images) != len(history) or not all(_is_count(images) for images in checkpoint.images):
        raise Unfit("its numbers of images do not fit its history")
    if not (_is_count(checkpoint.continued) and checkpoint.continued <= len(history)):
        raise Unfit(f"it goes on from {checkpoint.continued} epochs and holds {len(history)}")
    if not history and middle is None:
        raise Unfit("it holds no step")
    if middle is not None:
        _check_middle(middle)
    for what, content in (("model", checkpoint.model), ("optimizer", checkpoint.optimizer), ("ema", checkpoint.ema)):
        if not _is_finite(content):
            raise Unfit(f"there is NaN or infinity in its {what}")


def _check_middle(middle: MidEpoch) -> None:
    if not (_is_count(middle.batches) and _is_number(middle.seconds) and middle.seconds >= 0 and middle.ranks):
        raise Unfit("its state within the epoch is none")
    for rank in middle.ranks:
        if not (_is_count(rank.images) and rank.loss.numel() == 1 and _is_finite(rank.loss)):
            raise Unfit("its state within the epoch holds values that no epoch can have")
        if any(state.dtype is not torch.uint8 for state in rank.random):
            raise Unfit("its random state is none")
        torch.Generator().set_state(rank.random[0].cpu())  # raises where it is none


def digest_of(content: Any) -> str:
    """Return the SHA-256 of what a checkpoint holds: mappings, sequences, tensors, plain values."""
    sha256 = hashlib.sha256()

    def feed(value: Any) -> None:
        if isinstance(value, Tensor):
            sha256.update(f"tensor {value.dtype} {list(value.shape)};".encode())
            sha256.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        elif isinstance(value, Mapping):
            sha256.update(f"mapping {len(value)};".encode())
            for key, inner in value.items():
                sha256.update(f"{key!r};".encode())
                feed(inner)
        elif isinstance(value, list | tuple):
            sha256.update(f"sequence {len(value)};".encode())
            for inner in value:
                feed(inner)
        else:
            sha256.update(f"{value!r};".encode())

    feed(content)
    return sha256.hexdigest()


def _is_measured(epoch: Epoch) -> bool:
    numbers = (epoch.train_loss, epoch.seconds, *epoch.values.values())
    if not (all(map(_is_number, numbers)) and isinstance(epoch.device, str) and epoch.values and not epoch.scored):
        return False
    known = all(name in METRICS and METRICS[name].holds(value) for name, value in epoch.values.items())
    return known and epoch.seconds >= 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_finite(content: Any) -> bool:
    if isinstance(content, Tensor):
        return bool(torch.isfinite(content).all())
    if isinstance(content, Mapping):
        return all(map(_is_finite, content.values()))
    if isinstance(content, list | tuple):
        return all(map(_is_finite, content))
    return not isinstance(content, float) or math.isfinite(content)


def _shape(value: object) -> torch.Size | None:
    return value.shape if isinstance(value, Tensor) else None
