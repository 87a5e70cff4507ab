"""Stratified splits and subsets that are equal on every machine and under every version of NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dcasearch.data.seeds import frozen_generator
from dcasearch.errors import DataError

Indices: TypeAlias = NDArray[np.int64]
"""Shape (n,): which images of a part."""


def stratified_order(labels: Indices, seed: int) -> Indices:
    """Return an order of the images of which every run of consecutive ones holds the classes in proportion.

    Each image gets the place (r + 0.5) / n among the n of its class, with r drawn at random; sorting by place
    mixes the classes evenly. So a smaller subset is always part of a larger one.

    Args:
        labels: class of each image, shape (n,).
        seed: of the draw.
    """
    keys = frozen_generator(seed).random_sample(len(labels))
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


def split_train(labels: Indices, validation_fraction: float, seed: int, groups: Indices | None = None) -> Split:
    """Hold out a stratified share of train.

    Args:
        labels: class of each image, shape (n,).
        validation_fraction: the share.
        seed: of the draw.
        groups: group of each image, shape (n,): all images of a group (copies, or pictures of one subject) stay on one
            side. Whole groups are drawn, stratified by their most frequent class, until the share is reached.

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
    if groups is None:
        return Split(train=order[held_out:], validation=order[:held_out])
    if len(np.unique(groups)) == 1:
        raise DataError("all training images are of one group, so none can be held out; each part needs a group")
    chosen = _chosen_groups(labels, groups, held_out, seed)[groups[order]]
    return Split(train=order[~chosen], validation=order[chosen])


def _chosen_groups(labels: Indices, groups: Indices, held_out: int, seed: int) -> NDArray[np.bool_]:
    """Return for each group, by its number, whether it is held out: at least one, and not all of them."""
    names, number, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    leading = _most_frequent(number, labels)
    order = stratified_order(leading, seed)
    reached = np.cumsum(sizes[order])
    count = min(int(np.abs(reached - held_out).argmin()) + 1, len(names) - 1)  # the nearest to the share
    chosen = np.zeros(int(names.max()) + 1, dtype=np.bool_)
    chosen[names[order[:count]]] = True
    return chosen


def subset(order: Indices, fraction: float) -> Indices:
    """Return the first share of a stratified order, at least one image, sorted."""
    return np.sort(order[: max(1, round(fraction * len(order)))])


def mixed_order(indices: Indices) -> Indices:
    """Return images in one fixed random order, the same for every network, seed and fidelity.

    Neighbours of a folder are of one class. A network whose output for an image depends on the next image of the batch
    (`message: shuffled`) is measured in this order.
    """
    return indices[np.random.RandomState(0).permutation(len(indices))]


def _most_frequent(number: Indices, labels: Indices) -> Indices:
    """Return the most frequent class of each group, the first of several; groups are numbered from 0 without gaps."""
    pairs, counts = np.unique(np.stack((number, labels)), axis=1, return_counts=True)
    first_of_each = np.lexsort((pairs[1], -counts, pairs[0]))
    _, places = np.unique(pairs[0][first_of_each], return_index=True)
    leading: Indices = pairs[1][first_of_each][places].astype(np.int64)
    return leading
