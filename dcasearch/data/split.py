"""Stratified splits and subsets that are equal on every machine and under every version of NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dcasearch.errors import DataError

Indices: TypeAlias = NDArray[np.int64]
"""Shape (n,): which images of a part."""


def stratified_order(labels: Indices, seed: int) -> Indices:
    """Return an order of the images of which every run of consecutive ones holds the classes in proportion.

    Each image gets the place (r + 0.5) / n among the n of its class, with r drawn at random; sorting by place
    mixes the classes evenly. So a smaller subset is always part of a larger one.

    Args:
        labels: class of each image, shape (n,).
        seed: of the draw. `RandomState` is NumPy's frozen generator: its stream never changes.
    """
    keys = np.random.RandomState(seed).random_sample(len(labels))
    by_class = np.lexsort((keys, labels))
    counts = np.bincount(labels)
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    ranks = np.empty(len(labels))
    ranks[by_class] = np.arange(len(labels)) - first[labels[by_class]]
    place = (ranks + 0.5) / counts[labels]
    return np.lexsort((keys, place)).astype(np.int64)


@dataclass(frozen=True)
class Split:
    """The two parts of train; disjoint, together all of it."""

    train: Indices
    """In stratified order: its first k images are the stratified subset of k."""
    validation: Indices


def split_train(labels: Indices, validation_fraction: float, seed: int) -> Split:
    """Hold out a stratified share of train.

    Raises:
        DataError: one of the two parts would be empty.
    """
    held_out = round(validation_fraction * len(labels))
    if not 0 < held_out < len(labels):
        raise DataError(
            f"data.validation_fraction {validation_fraction} of {len(labels)} training images holds out {held_out}; "
            "both parts need at least one image"
        )
    order = stratified_order(labels, seed)
    return Split(train=order[held_out:], validation=order[:held_out])


def subset(order: Indices, fraction: float) -> Indices:
    """Return the first share of a stratified order, at least one image, sorted."""
    return np.sort(order[: max(1, round(fraction * len(order)))])
