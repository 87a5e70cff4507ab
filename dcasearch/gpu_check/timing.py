"""How fast a network trains: by our own step, and by the bare loop of another library's network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.architecture import Architecture
from dcasearch.config.recipe import Recipe
from dcasearch.errors import UserError
from dcasearch.gpu_check.checks import Bench
from dcasearch.gpu_check.networks import Spec
from dcasearch.metrics import CLASSIFICATION
from dcasearch.training.loop import train_epoch
from dcasearch.training.network import make_network
from dcasearch.training.optimizer import make_optimizer
from dcasearch.training.tasks import learning_task

_CLASSES = 1000
_WARM = 3


class Steps(Protocol):
    """Something that trains so many steps of a batch."""

    batch: int

    def __call__(self, steps: int) -> None:
        """Train."""


def _tensors(bench: Bench, batch: int, resolution: int, *, channels_last: bool) -> tuple[Tensor, Tensor]:
    images = torch.randn(batch, 3, resolution, resolution, device=bench.device)
    labels = torch.randint(0, _CLASSES, (batch,), device=bench.device)
    return images.contiguous(memory_format=torch.channels_last) if channels_last else images, labels


class Stepping:
    """Our training loop over one batch, again and again."""

    def __init__(self, bench: Bench, spec: Spec, recipe: Recipe, batch: int, resolution: int | None = None) -> None:
        architecture = Architecture.parse(spec)
        self.batch, self._recipe = batch, recipe
        self._task, side = learning_task(CLASSIFICATION.name, recipe), resolution or bench.sizes.resolution
        network = self._task.build(architecture, _CLASSES, resolution=side)
        self._network = make_network(network, self._task, device=bench.device)
        self._optimizer = make_optimizer(self._network.model, recipe)
        self._tensors = _tensors(
            bench,
            batch,
            side,
            channels_last=recipe.in_channels_last(bench.device.type),
        )

    def __call__(self, steps: int) -> None:
        """Train so many steps."""
        batches = [self._tensors] * steps
        train_epoch(self._network, self._optimizer, batches, lambda step: 1e-4, self._task)


class Bare:
    """The shortest loop that trains another library's network as the recipe says."""

    def __init__(self, bench: Bench, yardstick: Mapping[str, Any], recipe: Recipe, batch: int) -> None:
        self.batch, self._bf16, self._kind = batch, recipe.precision == "bf16", bench.device.type
        channels_last = recipe.in_channels_last(bench.device.type)
        model = other_network(yardstick).to(bench.device)
        self._model: nn.Module = model.to(memory_format=torch.channels_last) if channels_last else model
        self._forward: Callable[[Tensor], Tensor] = torch.compile(self._model) if recipe.compile else self._model
        self._optimizer = torch.optim.SGD(
            self._model.parameters(),
            lr=1e-4,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
            fused=True if bench.gpus else None,
        )
        self._tensors = _tensors(bench, batch, bench.sizes.resolution, channels_last=channels_last)

    def __call__(self, steps: int) -> None:
        """Train so many steps."""
        images, labels = self._tensors
        self._model.train()
        for _ in range(steps):
            self._optimizer.zero_grad(set_to_none=True)
            with torch.autocast(self._kind, dtype=torch.bfloat16, enabled=self._bf16):
                logits = self._forward(images)
            F.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]  # torch has no types here
            self._optimizer.step()


def other_network(yardstick: Mapping[str, Any]) -> nn.Module:
    """Return another library's network of a thousand classes.

    Args:
        yardstick: `library` (`torchvision` or `timm`), `name`, and further arguments of its maker.

    Raises:
        UserError: the library is not installed.
    """
    arguments = {key: value for key, value in yardstick.items() if key not in ("library", "name")}
    if yardstick["library"] == "torchvision":
        from torchvision.models import get_model

        network: nn.Module = get_model(yardstick["name"], weights=None, **arguments)
        return network
    try:
        timm = import_module("timm")
    except ModuleNotFoundError:
        raise UserError("the yardstick needs timm: pip install 'dcasearch[dev]', or timm alone") from None
    made: nn.Module = timm.create_model(yardstick["name"], **arguments)
    return made


def seconds_of(bench: Bench, side: Steps, steps: int) -> float:
    """Return the seconds of one turn."""
    bench.synchronize()
    began = time.perf_counter()
    side(steps)
    bench.synchronize()
    return time.perf_counter() - began


def images_per_second(bench: Bench, side: Steps) -> float:
    """Return the median over turns."""
    side(_WARM)
    turns = [seconds_of(bench, side, bench.sizes.steps) for _ in range(bench.sizes.rounds)]
    return bench.sizes.steps * side.batch / statistics.median(turns)


def compared(bench: Bench, sides: Sequence[Steps]) -> tuple[float, list[float]]:
    """Let two sides take turns.

    Returns:
        The median over the turns of (the second's seconds / the first's), and the images per second of each.
    """
    for side in sides:
        side(_WARM)
    turns = [[seconds_of(bench, side, bench.sizes.steps) for side in sides] for _ in range(bench.sizes.rounds)]
    ratio = statistics.median(theirs / ours for ours, theirs in turns)
    speeds = [
        bench.sizes.steps * side.batch / statistics.median(turn[n] for turn in turns) for n, side in enumerate(sides)
    ]
    return ratio, speeds
