"""A data set: its parts, its classes, what identifies it. The table of known ones is `DATASETS`.

A part is either small enough to be held in memory, or files that are read when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dcasearch.config.data_set import USUAL_CROP, Columns, Data, Interpolation, ReadingVersion
from dcasearch.data.boxes import BoxedPart
from dcasearch.data.preprocessing import Source
from dcasearch.data.reading import OLDEST, READINGS, Reading
from dcasearch.data.shards import Shards
from dcasearch.data.split import Indices
from dcasearch.data.staging import root_of
from dcasearch.errors import DataError
from dcasearch.files import expanded
from dcasearch.registry import Registry

Boxes: TypeAlias = NDArray[np.float32]
"""Shape (n, 4): x1, y1, x2, y2 in pixels of the image; x2 and y2 are the first ones outside."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Per channel, of pixels in 0..1."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """Decoded images."""

    array: NDArray[np.uint8]
    """Shape (n, 3, height, width); read-only where it is mapped from disk."""
    unreadable: dict[int, tuple[str, str]]
    """Index -> path and reason; the array is zero there."""


@dataclass(frozen=True, eq=False)
class MemoryPart:
    """A part that is decoded once and held in memory."""

    labels: Indices
    read: Callable[[Path | None], Pixels]
    """Takes the folder where decoded images are kept between processes; None keeps nothing."""
    groups: Indices | None = None
    """Group of each image; the images of a group stay on one side of a split."""
    boxes: Callable[[], Boxes] | None = None
    """Returns the box of each image's one labelled object, where the data set knows them."""


@dataclass(frozen=True, eq=False)
class FilePart:
    """A part whose images are read from files, each epoch anew."""

    labels: Indices
    paths: tuple[str, ...]
    groups: Indices | None = None
    """Group of each image; the images of a group stay on one side of a split."""
    reading: Reading = OLDEST

    def name_of(self, index: int) -> str:
        """Return the path of an image."""
        return self.paths[index]


@dataclass(frozen=True, eq=False)
class PreparedPart:
    """A part that was decoded and resized before, in shards that are mapped into memory."""

    labels: Indices
    size: int
    """Pixels per side."""
    shards: Shards
    unreadable: dict[int, tuple[str, str]]
    """Index -> path and reason of what could not be decoded; its pixels are zero."""
    rows: Indices
    """Place of each image in the shards."""
    groups: Indices | None = None
    """Group of each image; the images of a group stay on one side of a split."""

    def name_of(self, index: int) -> str:
        """Return what an image is called in a message."""
        return f"{self.shards.folder} image {self.rows[index]}"

    def pixels(self, index: int) -> Tensor:
        """Return an image as uint8, shape (3, size, size)."""
        return self.shards.read(int(self.rows[index]))


Part: TypeAlias = MemoryPart | FilePart | PreparedPart | BoxedPart


@dataclass(frozen=True, eq=False, kw_only=True)
class DataSet:
    """A data set as its source gives it, before any split."""

    fingerprint: str
    """Of the contents; the folder's place is not in it."""
    classes: tuple[str, ...]
    train: Part
    val: Part
    """The official validation images, which protocol `paper` reads; the test part where there are none."""
    test: Part
    """The official validation images where there is no test part."""
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation = "bilinear"
    """Of every resize."""
    crop: float = USUAL_CROP
    """Side of the centre crop of an evaluation image, as a share of the resized shorter side."""
    size: int | None = None
    """Pixels per side of every image; None: they differ."""
    notes: tuple[str, ...] = ()
    """What was mended in its files, and what is worth knowing, a sentence each."""
    whole: bool = False
    """Whether it comes in one piece: all three parts are the same images, and `data.split` divides them."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """Each part once, whichever of the three names it has."""
        return tuple({id(part): part for part in (self.train, self.val, self.test)}.values())

    @property
    def source(self) -> Source:
        """What an exported spec has to say of its images."""
        reading: Literal["whole", "cropped", "prepared"] = "cropped"
        if isinstance(self.val, MemoryPart):
            reading = "whole"
        elif isinstance(self.val, PreparedPart):
            reading = "prepared"
        return Source(
            class_names=self.classes,
            mean=self.mean,
            std=self.std,
            size=self.size,
            reading=reading,
            interpolation=self.interpolation,
            crop=self.crop,
        )


Opener: TypeAlias = Callable[[Path | None, Reading], DataSet]
"""Takes the root folder, and how image files are read where it has any. Fast: lists files, decodes nothing."""
DATASETS: Registry[Opener] = Registry("a data set")


def open_whole(data: Data) -> DataSet:
    """Return the data set that a study names, with all its classes; the same object as long as the process lives.

    Raises:
        UserError: no such data set.
        DataError: its files are missing or of another layout.
    """
    dataset = _open(data.name, root_of(data), data.reading, data.file, data.columns)
    place = data.file or data.root or data.name
    if dataset.whole and data.split is not None:
        from dcasearch.data.dividing import divide  # it takes `DataSet` from here

        return divide(dataset, data.split, data.split_seed)
    if dataset.whole:
        raise DataError(
            f"{place} comes in one piece, without train and test; add data.split: {{validation: 0.2, test: 0.2}}",
            ("data",),
        )
    if data.split is not None:
        raise DataError(f"{place} has parts of its own (train and test); leave data.split out", ("data", "split"))
    return dataset


@lru_cache(maxsize=4)
def _open(name: str, root: str | None, reading: ReadingVersion, list_file: str | None, columns: Columns) -> DataSet:
    folder = None if root is None else expanded(root)
    if list_file is not None:
        from dcasearch.data.listed import open_list  # it takes `DataSet` from here

        return open_list(folder, expanded(list_file), columns, READINGS[reading])
    return DATASETS[name](folder, READINGS[reading])


def existing(name: str, root: Path | None, layout: str) -> Path:
    """Return the root folder.

    Raises:
        DataError: with the expected layout, where there is no such folder.
    """
    if root is None:
        raise DataError(f"data.root is missing: {name} needs a folder that holds {layout}")
    if not root.is_dir():
        raise DataError(f"data.root: there is no folder {root}; {name} needs one that holds {layout}")
    return root
