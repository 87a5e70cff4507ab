"""Object detection: a detector over the architecture's network, COCO's twelve numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from dcasearch.architecture import Architecture
from dcasearch.artifacts import Place
from dcasearch.config.data_set import Data
from dcasearch.data import Batch, Loader, Loaders, Share
from dcasearch.data.batches import WHOLE
from dcasearch.data.detection_loaders import DetectionLoaders
from dcasearch.data.sets import DataSet, Part
from dcasearch.errors import UserError
from dcasearch.evaluation import EvaluationProtocol
from dcasearch.models import build_model
from dcasearch.models.detection import build_detector
from dcasearch.models.detection.answers import answers
from dcasearch.models.transfer import transfer
from dcasearch.training.tasks.average_precision import DetectionMeter
from dcasearch.training.tasks.base import LearningTask


class Detection(LearningTask):
    """Boxes with classes; an image is (3, H, W) in 0..1, and batches are lists of them and of targets."""

    @property
    def synchronizes(self) -> bool:
        """Whether BatchNorm's statistics are those of all ranks of a training."""
        return super().synchronizes or (self.detector is not None and self.detector.bn == "sync")

    def build(
        self,
        architecture: Architecture,
        classes: int,
        *,
        resolution: int,
        seed: int = 0,
        start: Mapping[str, Tensor] | None = None,
    ) -> nn.Module:
        """Return the detector on the architecture's network; the network has no classifier.

        Args:
            architecture: of the network.
            classes: of the data, without background.
            resolution: pixels of the shorter side that images are resized to.
            seed: of the network's parameters and of the detector's own.
            start: parameters and buffers of the network, of a classifier with any number of classes.

        Raises:
            UserError: there is no detector, or it cannot stand on the network, or `start` is another network's.
        """
        if self.detector is None:
            raise UserError("task detection needs a detector, e.g. detector: {name: retinanet}")
        network = build_model(architecture, num_classes=1, seed=seed)
        with_head = set(network.state_dict())
        network.drop_head()
        if start is not None:
            head = with_head - set(network.state_dict())
            transfer(network, start, left=lambda name: name in head, words="the file of weights to start from")
        try:
            return build_detector(network, self.detector, classes=classes, resolution=resolution, seed=seed)
        except ValueError as error:
            raise UserError(f"detector: {error}") from error

    def answers(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return the detector's raw numbers of each image, before any box is chosen, shape (batch, n)."""
        return answers(network, images)

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
        """Return the loaders of one training; nothing of the images is kept in `artifacts`."""
        loaders = self._loaders(data, resolution, self.recipe.batch_size, device, share, mixed)
        return loaders.of_training(protocol, train_fraction=train_fraction, recipe=self.recipe, seed=seed)

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
        """Return what a protocol's numbers are measured on."""
        return self._loaders(data, resolution, batch_size, device, WHOLE, mixed).of_evaluation(protocol)

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
        """Return all images of one part of an opened data set."""
        return self._loaders(data, resolution, batch_size, device, WHOLE, mixed).of_part(dataset, part)

    @staticmethod
    def _loaders(
        data: Data, resolution: int, batch_size: int, device: torch.device, share: Share, mixed: bool
    ) -> DetectionLoaders:
        return DetectionLoaders(
            data=data, resolution=resolution, batch_size=batch_size, device=device, share=share, mixed=mixed
        )

    def forward(self, network: Callable[..., Any], inputs: Any, targets: Any) -> Mapping[str, Tensor]:
        """Return the losses by name; torchvision's detectors compute them themselves."""
        losses: Mapping[str, Tensor] = network(inputs, targets)
        return losses

    def loss(self, outputs: Mapping[str, Tensor], targets: Any) -> Tensor:
        """Return the sum of the losses, each a mean over the images."""
        return torch.stack([loss.float() for loss in outputs.values()]).sum()

    def meter(self, classes: int, device: torch.device) -> DetectionMeter:
        """Return a meter of detections and boxes."""
        return DetectionMeter([str(label) for label in range(1, classes + 1)])

    def of_classes(self, meter: DetectionMeter, names: Sequence[str]) -> Mapping[str, float]:
        """Return the average precision of each class that an image shows."""
        return {names[int(label) - 1]: value for label, value in meter.precision().classes.items()}

    def parts(self, batch: Batch, count: int) -> Sequence[Batch]:
        """Return a batch in `count` micro-batches, none of them empty."""
        images, targets = batch
        ends = [len(images) * n // count for n in range(count + 1)]
        return [(images[first:end], targets[first:end]) for first, end in pairwise(ends)]
