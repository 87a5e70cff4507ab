"""What a task gives to whoever trains, measures or rebuilds a network of it, and the measurement itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dcasearch.architecture import Architecture
from dcasearch.artifacts import Place
from dcasearch.config.data_set import Data
from dcasearch.config.detector import Detector
from dcasearch.config.recipe import Recipe
from dcasearch.data import Batch, Loader, Loaders, Share, open_evaluation, open_loaders, open_part, open_unaugmented
from dcasearch.data.batches import WHOLE
from dcasearch.data.sets import DataSet, Part
from dcasearch.evaluation import EvaluationProtocol
from dcasearch.metrics import TASKS, TaskMetrics
from dcasearch.metrics import imported as named
from dcasearch.models import build_model
from dcasearch.training.mixing import Mix


class Meter(Protocol):
    """Accumulates the metrics of a task over batches, each image once."""

    def update(self, outputs: Any, targets: Any) -> None:
        """Add what the network said of a batch, and what is right."""

    def compute(self) -> dict[str, float]:
        """Return the metrics of everything added, by name: each of the task's, and the further ones asked for."""


class LearningTask(ABC):
    """What is learned: the network, where batches come from, what the network's outputs cost, what is measured.

    A session owns the rest: checkpoints, resuming, interruption, ranks, seeds and reporting. It knows that a batch has
    inputs and targets, and asks the task for its size and its parts.
    """

    def __init__(
        self, metrics: TaskMetrics, recipe: Recipe, detector: Detector | None = None, further: Sequence[str] = ()
    ) -> None:
        """Take the task's entry in the table, a recipe, the detector where the task has one, and what is asked for.

        Args:
            metrics: the entry.
            recipe: of a training.
            detector: where the task has one.
            further: names of `metrics.further` that are measured too.
        """
        self.metrics, self.recipe, self.detector, self.further = metrics, recipe, detector, tuple(further)

    @property
    def synchronizes(self) -> bool:
        """Whether BatchNorm's statistics are those of all ranks of a training."""
        return self.recipe.sync_batchnorm

    def build(
        self,
        architecture: Architecture,
        classes: int,
        *,
        resolution: int,
        seed: int = 0,
        start: Mapping[str, Tensor] | None = None,
    ) -> nn.Module:
        """Return the network that is trained: an architecture's own, with its classifier, unless a task says otherwise.

        Args:
            architecture: what to build.
            classes: of the data.
            resolution: pixels per side of the images.
            seed: of the parameters.
            start: parameters and buffers that the network under a detector begins with.

        Raises:
            ValueError: `start` is given and there is no detector.
        """
        if start is not None:
            raise ValueError(f"task {self.metrics.name} starts from no exported network")
        how = self.recipe.classifier_init
        return build_model(architecture, num_classes=self.width(classes), seed=seed, classifier_init=how)

    def answers(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return what a rebuilt network must answer too, shape (batch, n): logits unless a task says otherwise.

        Args:
            network: in evaluation mode.
            images: shape (batch, 3, R, R).
        """
        logits: Tensor = network(images)
        return logits

    def open(
        self,
        data: Data,
        protocol: EvaluationProtocol,
        *,
        resolution: int,
        train_fraction: float,
        seed: int,
        artifacts: Place | None,
        device: torch.device,
        share: Share = WHOLE,
        mixed: bool = False,
    ) -> Loaders:
        """Return the loaders of one training; images with labels unless a task says otherwise (`open_loaders`)."""
        loaders = open_loaders(
            data,
            protocol,
            resolution=resolution,
            train_fraction=train_fraction,
            recipe=self.recipe,
            seed=seed,
            artifacts=artifacts,
            device=device,
            share=share,
            mixed=mixed,
        )
        self.opened(loaders, device)
        return loaders

    def opened(self, loaders: Loaders, device: torch.device) -> None:  # noqa: B027  # most tasks need nothing of them
        """Take what a training's loss needs of its images."""

    def open_unaugmented(
        self,
        data: Data,
        protocol: EvaluationProtocol,
        *,
        resolution: int,
        train_fraction: float,
        artifacts: Place | None,
        device: torch.device,
        share: Share = WHOLE,
    ) -> Loader:
        """Return the training images of one training, each once and without augmentation."""
        return open_unaugmented(
            data,
            protocol,
            resolution=resolution,
            train_fraction=train_fraction,
            batch_size=self.recipe.batch_size,
            artifacts=artifacts,
            device=device,
            share=share,
        )

    def open_evaluation(
        self,
        data: Data,
        protocol: EvaluationProtocol,
        *,
        resolution: int,
        batch_size: int,
        artifacts: Place | None,
        device: torch.device,
        mixed: bool = False,
    ) -> Loader:
        """Return what a protocol's numbers are measured on; `mixed` as for `open_loaders`."""
        return open_evaluation(
            data,
            protocol,
            resolution=resolution,
            batch_size=batch_size,
            artifacts=artifacts,
            device=device,
            mixed=mixed,
        )

    def open_part(
        self,
        dataset: DataSet,
        part: Part,
        data: Data,
        *,
        resolution: int,
        batch_size: int,
        device: torch.device,
        mixed: bool = False,
    ) -> Loader:
        """Return all images of one part of an opened data set; `mixed` as for `open_loaders`."""
        return open_part(
            dataset,
            part,
            data,
            resolution=resolution,
            batch_size=batch_size,
            artifacts=None,
            device=device,
            mixed=mixed,
        )

    def width(self, classes: int) -> int:
        """Return the number of the network's outputs for data of so many classes."""
        return self.metrics.width(classes)

    def mix(self, epoch: int, classes: int, seed: int) -> Mix | None:
        """Return what mixes the images of an epoch's batches (mixup); None where nothing is mixed."""
        return None

    def forward(self, network: Callable[..., Any], inputs: Any, targets: Any) -> Any:
        """Return the network's outputs for a batch, in training; called under autocast."""
        return network(inputs)

    @abstractmethod
    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """Return the mean loss of a batch, shape (); called outside of autocast."""

    @abstractmethod
    def meter(self, classes: int, device: torch.device) -> Meter:
        """Return a new meter on the device of the outputs."""

    def of_classes(self, meter: Any, names: Sequence[str]) -> Mapping[str, float]:
        """Return the headline metric of each class of a meter, by the class's name, where the task has it."""
        return {}

    def size(self, batch: Batch) -> int:
        """Return the images of a batch."""
        return len(batch[1])

    def parts(self, batch: Batch, count: int) -> Sequence[Batch]:
        """Return a batch in `count` micro-batches, none of them empty."""
        return list(zip(*(part.tensor_split(count) for part in batch), strict=True))


def learning_task(
    name: str, recipe: Recipe, detector: Detector | None = None, further: Sequence[str] = ()
) -> LearningTask:
    """Return the task of that name for trainings with a recipe, of a detector where the task has one.

    Args:
        name: an entry of `dcasearch.metrics.TASKS`.
        recipe: of a training.
        detector: where the task has one.
        further: what is measured beside the metrics that the task always measures.

    Raises:
        UserError: no such task.
        ValueError: the task has no such further metric.
    """
    metrics = TASKS[name]
    if unknown := set(further) - set(metrics.further):
        raise ValueError(f"task {name} does not measure {', '.join(sorted(unknown))}")
    task: LearningTask = named(metrics.implementation)(metrics, recipe, detector, further)
    return task


def measure(
    task: LearningTask,
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    classes: int,
    device: torch.device,
    forward: Callable[..., Any] | None = None,
    autocast: AbstractContextManager[object] | None = None,
) -> dict[str, float]:
    """Return a network's metrics by name; arguments as for `metered`."""
    return metered(task, model, batches, classes=classes, device=device, forward=forward, autocast=autocast).compute()


@torch.no_grad()
def metered(
    task: LearningTask,
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    classes: int,
    device: torch.device,
    forward: Callable[..., Any] | None = None,
    autocast: AbstractContextManager[object] | None = None,
) -> Meter:
    """Return a meter that has seen a network's outputs, in evaluation mode; the mode is put back afterwards.

    Args:
        task: what is measured.
        model: the network.
        batches: inputs and targets on the device.
        classes: of the data.
        device: of the network.
        forward: what is called in place of the model, e.g. its compiled form.
        autocast: entered around every batch.
    """
    training = model.training
    model.eval()
    meter = task.meter(classes, device)
    called = model if forward is None else forward  # not `or`: a compiled model has no truth value
    for batch in batches:
        if not task.size(batch):
            continue
        inputs, targets = batch
        with autocast or nullcontext():
            outputs = called(inputs)
        meter.update(outputs, targets)
    model.train(training)
    return meter
