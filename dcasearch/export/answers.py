"""What a classifier said of each measured image, and what follows from it: a table of classes, intervals, CSV.

N images, K classes, R resamples.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dcasearch.measurement import wilson
from dcasearch.training.tasks.further_metrics import BINS

RESAMPLES = 1000
"""Of a bootstrap."""
_DRAWS = 4_000_000
"""Most images that are drawn at once: some 100 MB."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Answers:
    """The likeliest class of each image that could be read."""

    names: tuple[str, ...]
    """Of the images, N of them: a path where they are files."""
    labels: NDArray[np.int64]
    """True class, shape (N,)."""
    said: NDArray[np.int64]
    """Likeliest class, shape (N,)."""
    probabilities: NDArray[np.float64]
    """Of the likeliest class, from 0 to 1, shape (N,)."""
    class_names: tuple[str, ...]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Images by true class (rows) and likeliest class (columns), shape (K, K)."""
        classes = len(self.class_names)
        counts = np.bincount(self.labels * classes + self.said, minlength=classes**2)
        return counts.reshape(classes, classes).astype(np.int64)


@dataclass(frozen=True)
class OfClass:
    """How well one class is told from the others, in percent."""

    name: str
    images: int
    recall: float | None
    """Share of the class's images that are right; None where it has no image."""
    interval: tuple[float, float] | None
    """Wilson's 95% interval of the recall."""
    precision: float | None
    """Share of right images among those that are said to be of the class; None where none is."""
    f1: float | None
    """Harmonic mean of recall and precision; None where the class has no image."""


def classes_of(answers: Answers) -> tuple[OfClass, ...]:
    """Return the row of each class, in the order of the outputs."""
    confusion = answers.confusion
    images, said, right = confusion.sum(1), confusion.sum(0), confusion.diagonal()
    rows = []
    for name, n, claimed, hits in zip(answers.class_names, images.tolist(), said.tolist(), right.tolist(), strict=True):
        recall = 100 * hits / n if n else None
        rows.append(
            OfClass(
                name=name,
                images=n,
                recall=recall,
                interval=None if recall is None else wilson(recall, n),
                precision=100 * hits / claimed if claimed else None,
                f1=200 * hits / (n + claimed) if n else None,
            )
        )
    return tuple(rows)


def intervals_of(answers: Answers, *, resamples: int = RESAMPLES, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return bootstrap intervals of 95%, by metric, in percent: percentiles without their bias (Efron, 1979).

    A resample's calibration error is larger on average than the images' own, since a bin of fewer different images
    differs more from its probabilities. So the mean difference is taken off; else an interval may lie above its value.

    Each resample draws N of the N images with replacement, from a generator of `seed`. A class that a resample lacks
    is left out of its means. Covered is the choice of the images, not another training of the network.

    Args:
        answers: of at least one image.
        resamples: how many.
        seed: of the draws.

    Returns:
        The intervals of `balanced_accuracy`, `macro_f1` and `calibration_error`.
    """
    generator, images = np.random.default_rng(seed), len(answers.labels)
    at_once = max(1, _DRAWS // images)
    parts = []
    for first in range(0, resamples, at_once):
        some = min(at_once, resamples - first)
        parts.append(_resampled(answers, generator.integers(images, size=(some, images))))
    values = np.concatenate(parts, axis=1)
    bias = values.mean(1) - _resampled(answers, np.arange(images)[None])[:, 0]
    lows, highs = np.clip(np.percentile(values, (2.5, 97.5), axis=1) - bias, 0, 100)
    return {
        name: (float(low), float(high))
        for name, low, high in zip(("balanced_accuracy", "macro_f1", "calibration_error"), lows, highs, strict=True)
    }


def _resampled(answers: Answers, drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the three metrics of each resample, shape (3, R), of drawn images of shape (R, N)."""
    classes, correct = len(answers.class_names), answers.labels == answers.said
    images = _counted(answers.labels, drawn, classes)
    said = _counted(answers.said, drawn, classes)
    right = _counted(answers.labels, drawn, classes, correct.astype(np.float64))
    shown = images > 0
    present = shown.sum(1)
    recall = np.divide(right, images, out=np.zeros_like(right), where=shown)
    f1 = np.divide(2 * right, images + said, out=np.zeros_like(right), where=shown)
    bins = np.clip(np.ceil(answers.probabilities * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.abs(_counted(bins, drawn, BINS, answers.probabilities - correct)).sum(1) / drawn.shape[1]
    return 100 * np.stack([recall.sum(1) / present, f1.sum(1) / present, gaps])


def _counted(
    values: NDArray[np.int64], drawn: NDArray[np.int64], kinds: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return how many drawn images have each value, or the sum of their weights, shape (R, kinds)."""
    places = values[drawn] + kinds * np.arange(len(drawn))[:, None]
    chosen = None if weights is None else weights[drawn].ravel()
    counts = np.bincount(places.ravel(), chosen, minlength=kinds * len(drawn))
    return counts.reshape(len(drawn), kinds).astype(np.float64)


def predictions_csv(answers: Answers) -> str:
    """Return a row for each image: path, true class, likeliest class, its probability."""
    names = answers.class_names
    each = zip(
        answers.names, answers.labels.tolist(), answers.said.tolist(), answers.probabilities.tolist(), strict=True
    )
    rows = ((path, names[label], names[said], f"{probability:.6f}") for path, label, said, probability in each)
    return _csv(("path", "class", "said", "probability"), rows)


def classes_csv(rows: Sequence[OfClass]) -> str:
    """Return a row for each class; what is not known is empty. Percent."""
    return _csv(
        ("class", "images", "recall", "recall_low", "recall_high", "precision", "f1"), (_cells(row) for row in rows)
    )


def precision_csv(of_classes: Iterable[tuple[str, float]]) -> str:
    """Return a detector's average precision of each class, in percent."""
    return _csv(("class", "ap"), ((name, f"{value:.4f}") for name, value in of_classes))


def _cells(row: OfClass) -> Iterator[object]:
    yield from (row.name, row.images)
    low, high = row.interval or (None, None)
    for value in (row.recall, low, high, row.precision, row.f1):
        yield "" if value is None else f"{value:.4f}"


def _csv(head: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()
