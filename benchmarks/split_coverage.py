"""How often 95% intervals over repeated splits of one small data set hold the truth: naive and corrected.

Each of many data sets of images (points of two classes, normally distributed) is divided several times. A
classifier by the nearest class mean is fitted to each training part and measured on each test part; so is one that sees
fewer dimensions. The truth is the mean over fresh data: of the accuracy, and of the difference of the two. The naive
interval takes the values over splits for independent; the corrected one is `dcasearch.analysis.resampling.margin_of`.
Aim: the corrected interval holds the truth in at least 94%, whatever the number of splits.

    python benchmarks/split_coverage.py [--sets 2000] [--images 334]
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from dcasearch.analysis.resampling import margin_of

DIMENSIONS, FEWER, APART = 12, 8, 0.35
"""Of a point; those that the second classifier sees; distance of the class means in each, in standard deviations."""
TRAIN, TEST = 0.6, 0.2
"""Shares of the images; the rest is the validation part, which nothing is fitted to."""
RATIO = TEST / TRAIN
FRESH = 4000
"""Trainings on fresh data that the truth is the mean of."""
Points = NDArray[np.float64]
Labels = NDArray[np.int64]


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of 95% intervals over repeated splits.")
    parser.add_argument("--sets", type=int, default=2000, help="data sets")
    parser.add_argument("--images", type=int, default=334, help="images of a data set")
    arguments = parser.parse_args()
    print(f"{arguments.sets:,} data sets of {arguments.images} images; share of 95% intervals that hold the truth")
    for splits in (3, 5, 10, 30):
        for what, found in coverage(arguments.sets, arguments.images, splits).items():
            print(f"{splits:3} splits, {what:10}: naive {found[0]:6.1%}, corrected {found[1]:6.1%}")


def coverage(sets: int, images: int, splits: int, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return the coverage of the naive and of the corrected interval, for one mean and for a paired difference."""
    generator = np.random.default_rng(seed)
    truth = np.mean([fitted(*drawn(generator, images), generator, fresh=True) for _ in range(FRESH)], axis=0)
    values = np.array([over_splits(generator, images, splits) for _ in range(sets)])  # (sets, splits, 2)
    accuracy, difference = values[..., 0], values[..., 0] - values[..., 1]
    return {
        "mean": held(accuracy, float(truth[0])),
        "difference": held(difference, float(truth[0] - truth[1])),
    }


def held(values: Points, truth: float) -> tuple[float, float]:
    """Return how often the naive and the corrected interval of each row's mean hold the truth."""
    off = np.abs(values.mean(axis=1) - truth)
    naive, corrected = (np.array([margin_of(list(row), ratio) for row in values]) for ratio in (0.0, RATIO))
    return float(np.mean(off <= naive)), float(np.mean(off <= corrected))


def over_splits(generator: np.random.Generator, images: int, splits: int) -> list[tuple[float, float]]:
    """Return the accuracies of both classifiers on each split of one data set."""
    points, labels = drawn(generator, images)
    return [fitted(points, labels, generator) for _ in range(splits)]


def drawn(generator: np.random.Generator, images: int) -> tuple[Points, Labels]:
    """Return a data set: shapes (images, DIMENSIONS) and (images,)."""
    labels = np.arange(images) % 2
    return generator.normal(size=(images, DIMENSIONS)) + APART * labels[:, None], labels


def fitted(
    points: Points, labels: Labels, generator: np.random.Generator, *, fresh: bool = False
) -> tuple[float, float]:
    """Return the accuracies of both classifiers, in percent, on a test part that is drawn at random.

    Args:
        points: Of the data set.
        labels: Their classes.
        generator: Of the split.
        fresh: Measure on as many fresh points as there are in all: more of them, of the same distribution.
    """
    order = generator.permutation(len(labels))
    train, test = order[: round(TRAIN * len(labels))], order[len(labels) - round(TEST * len(labels)) :]
    seen, known = (points[test], labels[test]) if not fresh else drawn(generator, len(labels))
    found = []
    for used in (DIMENSIONS, FEWER):
        means = [points[train][labels[train] == label, :used].mean(axis=0) for label in (0, 1)]
        far = [((seen[:, :used] - mean) ** 2).sum(axis=1) for mean in means]
        found.append(100 * float(np.mean((far[1] < far[0]) == known)))
    return found[0], found[1]


if __name__ == "__main__":
    main()
