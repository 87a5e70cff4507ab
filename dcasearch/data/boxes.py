"""Images with boxes: what a part of a data set has to say of them, whoever holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dcasearch.data.split import Indices


@dataclass(frozen=True, eq=False)
class ShownObjects:
    """What one image shows, k objects; or what all images of a part show, one after another."""

    boxes: NDArray[np.float32]
    """Shape (k, 4): x1, y1, x2, y2 in pixels of the image; x2 > x1 and y2 > y1."""
    labels: NDArray[np.int64]
    """Shape (k,): categories from 0, in the order of their ids."""
    areas: NDArray[np.float64]
    """Shape (k,): of the object's outline where the file says it, else of its box, in square pixels."""
    crowd: NDArray[np.bool_]
    """Shape (k,): a box around many objects. It is no target, and detections on it are no mistakes."""


class Pictures(Protocol):
    """The n images of one part."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """Numbers that tell the images apart, shape (n,)."""

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Width and height of each image, shape (n, 2)."""

    def __len__(self) -> int: ...

    def objects_of(self, index: int) -> ShownObjects:
        """Return the objects of an image."""

    def name_of(self, index: int) -> str:
        """Return what an image is called in a message, e.g. its path."""

    def read(self, index: int) -> Image.Image:
        """Return an image in RGB, of its size in `sizes`; raise Unreadable where it cannot be read."""


@dataclass(frozen=True, eq=False)
class BoxedPart:
    """A part of a data set whose images have boxes."""

    pictures: Pictures
    labels: Indices
    """A class of each image, to stratify a split by (`strata`)."""
    groups: Indices | None = None
    """Group of each image; the images of a group stay on one side of a split."""

    def name_of(self, index: int) -> str:
        """Return what an image is called in a message."""
        return self.pictures.name_of(index)


_SMALL, _LARGE = 32**2, 96**2
"""Square pixels of the original image: up to `_SMALL` an object is small to COCO, from `_LARGE` on large; an object of
exactly such an area is in both sizes."""


def sizes_of(pictures: Pictures, indices: Indices) -> frozenset[str]:
    """Return which of COCO's sizes some images show: `small`, `medium`, `large`; crowds do not count."""
    shown = [pictures.objects_of(int(index)) for index in indices]
    areas = np.concatenate([objects.areas[~objects.crowd] for objects in shown]) if shown else np.empty(0)
    there = {
        "small": areas <= _SMALL,
        "medium": (areas >= _SMALL) & (areas <= _LARGE),
        "large": areas >= _LARGE,
    }
    return frozenset(name for name, found in there.items() if found.any())


def strata(labels: NDArray[np.int64], first: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Return a class per image to stratify a split by, shape (n,): the category that the image shows most often.

    Of equally frequent categories it is the first. Images without objects are a class of their own, the last one.

    Args:
        labels: category of every object, image by image.
        first: shape (n + 1,): objects first[i] to first[i + 1] are those of image i.
        classes: how many categories there are.
    """
    image = np.repeat(np.arange(len(first) - 1), np.diff(first))
    found, counts = np.unique(image * classes + labels, return_counts=True)
    leading = np.full(len(first) - 1, classes, dtype=np.int64)
    ascending = np.lexsort((-found, counts))  # the last one written stays
    leading[found[ascending] // classes] = found[ascending] % classes
    return leading
