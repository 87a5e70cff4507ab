"""What an evaluation measures: top-1, top-5 and the mean cross-entropy, each image counted once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dcasearch.data import Batch

if TYPE_CHECKING:
    from torchmetrics.classification import MulticlassAccuracy

_TOP = 5


@dataclass(frozen=True)
class Metrics:
    """Of one network on one set of images."""

    loss: float
    """Mean cross-entropy, without label smoothing."""
    top1: float
    """Percent."""
    top5: float
    """Percent; 100 where there are five classes or fewer."""


class Meter:
    """Accumulates batches into Metrics, on the device of the logits."""

    def __init__(self, classes: int, device: torch.device) -> None:
        from torchmetrics import MeanMetric  # takes a second to import, and `check` measures nothing
        from torchmetrics.classification import MulticlassAccuracy

        # Arguments are not checked on every batch: labels come from our own loaders.
        self._top1 = MulticlassAccuracy(classes, average="micro", validate_args=False).to(device)
        self._top5: MulticlassAccuracy | None = None
        if classes > _TOP:
            self._top5 = MulticlassAccuracy(classes, top_k=_TOP, average="micro", validate_args=False).to(device)
        self._loss = MeanMetric(nan_strategy="disable").to(device)

    def update(self, logits_BK: Tensor, labels_B: Tensor) -> None:
        """Add a batch: logits of shape (batch, classes), labels of shape (batch,)."""
        logits_BK = logits_BK.float()
        self._top1.update(logits_BK, labels_B)
        if self._top5 is not None:
            self._top5.update(logits_BK, labels_B)
        self._loss.update(F.cross_entropy(logits_BK, labels_B, reduction="none"))

    def compute(self) -> Metrics:
        """Return the metrics of everything added."""
        return Metrics(
            loss=self._loss.compute().item(),
            top1=_percent(self._top1),
            top5=100.0 if self._top5 is None else _percent(self._top5),
        )


def _percent(accuracy: MulticlassAccuracy) -> float:
    # The share is an fp32 number; beyond the fourth decimal of a percentage it is rounding error.
    return round(100 * float(accuracy.compute().item()), 4)


@torch.no_grad()
def measure(
    model: nn.Module,
    batches: Iterable[Batch],
    *,
    classes: int,
    device: torch.device,
    forward: Callable[[Tensor], Tensor] | None = None,
    autocast: AbstractContextManager[object] | None = None,
) -> Metrics:
    """Return a network's metrics in evaluation mode; its mode is put back afterwards.

    Args:
        model: the network.
        batches: normalised images and labels on the device.
        classes: width of the logits.
        device: of the network.
        forward: what is called in place of the model, e.g. its compiled form.
        autocast: entered around every batch.
    """
    training = model.training
    model.eval()
    meter = Meter(classes, device)
    called = model if forward is None else forward  # not `or`: a compiled model has no truth value
    for images, labels in batches:
        if not len(labels):
            continue
        with autocast or nullcontext():
            logits = called(images)
        meter.update(logits, labels)
    model.train(training)
    return meter.compute()
