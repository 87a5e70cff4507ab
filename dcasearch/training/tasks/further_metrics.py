"""Metrics of classification that are measured only where they are asked for, in percent.

A class without images is left out of every mean: nothing is known of it.

- `balanced_accuracy`: mean recall of the classes (Brodersen et al., 2010).
- `macro_f1`: mean F1 score of the classes.
- `auroc`: mean area under the ROC curve, each class against all others, by the probability that the network gives it.
- `calibration_error`: expected calibration error (Guo et al., 2017): 15 bins of equal width by the probability of the
  predicted class; the mean distance of that probability from the share of right images, weighted by the bins' images.

Each equals scikit-learn's number for the classes that have images (scikit-learn has no calibration error).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from dcasearch.errors import DataError

if TYPE_CHECKING:
    from torchmetrics import Metric

BINS = 15
"""Of the calibration error."""
_OF_CONFUSION = ("balanced_accuracy", "macro_f1")


class FurtherMetrics:
    """Accumulates some of the metrics over batches; among several ranks each gets the values of all images."""

    def __init__(self, classes: int, device: torch.device, names: Sequence[str]) -> None:
        """Take the number of classes, the device of the logits, and the metrics by name."""
        from torchmetrics.classification import (  # takes a second to import, and `check` measures nothing
            MulticlassAUROC,
            MulticlassCalibrationError,
            MulticlassConfusionMatrix,
        )

        # Arguments are not checked on every batch: labels come from our own loaders.
        self._names = tuple(names)
        self._states: dict[str, Metric] = {}
        if set(names) & set(_OF_CONFUSION):
            self._states["confusion"] = MulticlassConfusionMatrix(classes, validate_args=False).to(device)
        if "auroc" in names:
            self._states["auroc"] = MulticlassAUROC(classes, average="none", validate_args=False).to(device)
            self._states["images"] = MulticlassConfusionMatrix(classes, validate_args=False).to(device)
        if "calibration_error" in names:
            error = MulticlassCalibrationError(classes, n_bins=BINS, norm="l1", validate_args=False)
            self._states["calibration_error"] = error.to(device)

    def update(self, logits_BK: Tensor, targets: Tensor) -> None:
        """Add a batch: logits of shape (batch, classes), classes of shape (batch,)."""
        # torchmetrics would take logits that all lie between 0 and 1 for probabilities.
        probabilities_BK = logits_BK.softmax(1)
        for state in self._states.values():
            state.update(probabilities_BK, targets)

    def compute(self) -> dict[str, float]:
        """Return the metrics of everything added, by name.

        Raises:
            DataError: `auroc` is asked for, and all images are of one class.
        """
        return {name: _percent(self._value(name)) for name in self._names}

    def _value(self, name: str) -> Tensor:
        if name in _OF_CONFUSION:
            confusion: Tensor = self._states["confusion"].compute()
            return balanced_accuracy(confusion) if name == "balanced_accuracy" else macro_f1(confusion)
        if name == "auroc":
            return self._auroc()
        error: Tensor = self._states["calibration_error"].compute()
        return error

    def _auroc(self) -> Tensor:
        shown = self._states["images"].compute().sum(1) > 0
        if shown.sum() < 2:
            raise DataError("auroc compares images of two classes, and all measured images are of one; leave it out")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "No positive samples in targets", UserWarning)  # such a class is left out
            of_classes: Tensor = self._states["auroc"].compute()
        return of_classes[shown].double().mean()


def balanced_accuracy(confusion: Tensor) -> Tensor:
    """Return the mean recall, shape (), of a confusion matrix of shape (classes, classes): rows are true classes."""
    images, right = confusion.sum(1).double(), confusion.diag().double()
    shown = images > 0
    return (right[shown] / images[shown]).mean()


def macro_f1(confusion: Tensor) -> Tensor:
    """Return the mean F1 score, shape (), of a confusion matrix of shape (classes, classes): rows are true classes."""
    images, said, right = confusion.sum(1).double(), confusion.sum(0).double(), confusion.diag().double()
    shown = images > 0
    return (2 * right[shown] / (images[shown] + said[shown])).mean()


def _percent(share: Tensor) -> float:
    return round(100 * float(share.item()), 4)
