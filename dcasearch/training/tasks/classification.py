"""Image classification: cross-entropy, top-1, top-5 and what is asked for beside them, each image counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from dcasearch.data import Loaders
from dcasearch.data.sampling import class_weights
from dcasearch.training.mixing import Mix, Mixing
from dcasearch.training.tasks.base import LearningTask
from dcasearch.training.tasks.further_metrics import FurtherMetrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torchmetrics.classification import MulticlassAccuracy

_TOP = 5


class Classification(LearningTask):
    """One class per image; the network has one output per class."""

    _weights: Tensor | None = None
    """Of each class in the loss, shape (classes,), where the recipe weights the classes and the loaders are open."""

    def opened(self, loaders: Loaders, device: torch.device) -> None:
        """Take the class weights of the training images."""
        if self.recipe.class_weights == "balanced" and loaders.class_images is not None:
            self._weights = torch.tensor(class_weights(loaders.class_images), device=device)

    def mix(self, epoch: int, classes: int, seed: int) -> Mix | None:
        """Return the recipe's mixup and CutMix."""
        return Mixing(self.recipe, classes=classes, seed=seed).of_epoch(epoch)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy over the images, with the recipe's label smoothing and class weights.

        Args:
            outputs: logits, shape (batch, classes).
            targets: classes, shape (batch,), or probabilities, shape (batch, classes).
        """
        smoothing = self.recipe.label_smoothing
        if self.recipe.class_weights == "none":
            return F.cross_entropy(outputs.float(), targets, label_smoothing=smoothing)
        if self._weights is None:
            raise ValueError("class weights are those of the training images: open the loaders first")
        # Not torch's weighted mean, which divides by the weights of the batch: then a gradient would depend on how
        # ranks and micro-batches share an image's batch. Over all training images the mean weight is 1.
        losses = F.cross_entropy(
            outputs.float(), targets, weight=self._weights, label_smoothing=smoothing, reduction="none"
        )
        return losses.mean()

    def meter(self, classes: int, device: torch.device) -> ClassificationMeter:
        """Return a meter of logits and classes."""
        return ClassificationMeter(classes, device, self.further)


class ClassificationMeter:
    """Accumulates the loss (mean cross-entropy, no label smoothing), top-1 and top-5 (percent).

    Several ranks that measure together each have a meter, and each gets the metrics of the images of all.
    """

    def __init__(self, classes: int, device: torch.device, further: Sequence[str] = ()) -> None:
        """Take the number of classes, the device of the logits, and the further metrics that are asked for."""
        from torchmetrics import MeanMetric  # takes a second to import, and `check` measures nothing
        from torchmetrics.classification import MulticlassAccuracy

        # Arguments are not checked on every batch: labels come from our own loaders.
        self._top1 = MulticlassAccuracy(classes, average="micro", validate_args=False).to(device)
        self._top5: MulticlassAccuracy | None = None
        if classes > _TOP:
            self._top5 = MulticlassAccuracy(classes, top_k=_TOP, average="micro", validate_args=False).to(device)
        self._loss = MeanMetric(nan_strategy="disable").to(device)
        self._further = FurtherMetrics(classes, device, further) if further else None

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Add a batch: logits of shape (batch, classes), classes of shape (batch,)."""
        logits_BK = outputs.float()
        self._top1.update(logits_BK, targets)
        if self._top5 is not None:
            self._top5.update(logits_BK, targets)
        self._loss.update(F.cross_entropy(logits_BK, targets, reduction="none"))
        if self._further is not None:
            self._further.update(logits_BK, targets)

    def compute(self) -> dict[str, float]:
        """Return the metrics of everything added."""
        return {
            "loss": float(self._loss.compute().item()),
            "top1": _percent(self._top1),
            # With five classes or fewer, one of the five is always right.
            "top5": 100.0 if self._top5 is None else _percent(self._top5),
            **({} if self._further is None else self._further.compute()),
        }


def _percent(accuracy: MulticlassAccuracy) -> float:
    # The share is an fp32 number; beyond the fourth decimal of a percentage it is rounding error.
    return round(100 * float(accuracy.compute().item()), 4)
