"""In which order an epoch takes its training images: a function of its generator, and so of (seed, epoch), alone."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch

from dcasearch.config.recipe import Sampling
from dcasearch.data.split import Indices


class Order(Protocol):
    """Draws the images of an epoch."""

    def __len__(self) -> int:
        """Return the number of images of an epoch."""

    def order(self, generator: torch.Generator) -> Indices:
        """Return the images of an epoch, shape (n,)."""


def order_of(sampling: Sampling, indices: Indices, labels: Indices) -> Order:
    """Return what draws the epochs of some images.

    Args:
        sampling: a recipe's.
        indices: the images, shape (n,).
        labels: class of each image of the whole part.
    """
    return Balanced(indices, labels) if sampling == "balanced" else Uniform(indices)


class Uniform:
    """Every image once, in a random order."""

    def __init__(self, indices: Indices) -> None:
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def order(self, generator: torch.Generator) -> Indices:
        """Return the images of an epoch, shape (n,)."""
        order: Indices = self._indices[torch.randperm(len(self._indices), generator=generator).numpy()]
        return order


class Balanced:
    """As many images as there are, drawn with replacement.

    Each class that has images is equally likely, and within a class each image.
    """

    def __init__(self, indices: Indices, labels: Indices) -> None:
        """Take the images, and the class of each of the whole part's images."""
        own = labels[indices]
        self._by_class = indices[np.argsort(own, kind="stable")]
        counts = np.bincount(own)
        shown = np.flatnonzero(counts)
        self._first, self._counts = (np.cumsum(counts) - counts)[shown], counts[shown]

    def __len__(self) -> int:
        return len(self._by_class)

    def order(self, generator: torch.Generator) -> Indices:
        """Return the images of an epoch, shape (n,)."""
        drawn = torch.randint(len(self._counts), (len(self),), generator=generator).numpy()
        place = torch.rand(len(self), generator=generator, dtype=torch.float64).numpy()
        within = (place * self._counts[drawn]).astype(np.int64)
        order: Indices = self._by_class[self._first[drawn] + within]
        return order


def copies(order: Indices) -> Indices:
    """Return of each image how often it came before in an order, shape (n,): 0 the first time."""
    by_image = np.argsort(order, kind="stable")
    same = np.concatenate([[False], order[by_image][1:] == order[by_image][:-1]])
    places = np.arange(len(order))
    begun = np.maximum.accumulate(np.where(same, 0, places))
    counted = np.empty(len(order), np.int64)
    counted[by_image] = places - begun
    return counted


def class_weights(class_images: Indices) -> list[float]:
    """Return n / (k · n_c) of each class, with k classes that have images; 0 of a class without images.

    So the mean weight of the images is 1 (scikit-learn's `class_weight="balanced"`).

    Args:
        class_images: number of images of each class, shape (classes,).
    """
    shown = class_images > 0
    weights = np.zeros(len(class_images))
    weights[shown] = class_images.sum() / (shown.sum() * class_images[shown])
    return [float(weight) for weight in weights]
