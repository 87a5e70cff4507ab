"""The image files of a data set, by part: a data set is opened from them, and a prepared one is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dcasearch.data.listing import Listing
from dcasearch.data.parts import ALL
from dcasearch.data.reading import Reading
from dcasearch.data.sets import IMAGENET_MEAN, IMAGENET_STD, DataSet, FilePart
from dcasearch.data.split import Indices
from dcasearch.evaluation import fingerprint


@dataclass(frozen=True)
class Originals:
    """Image files with their classes, in parts or in one piece."""

    listings: Mapping[str, Listing]
    """`train` with `val`, `test` or both; or `all` for data in one piece."""
    fingerprint: str
    """Of the names and sizes of the files, and of what a list says of them."""
    notes: tuple[str, ...] = ()
    """What was passed over, a sentence each."""

    @property
    def whole(self) -> bool:
        """Whether the data comes in one piece."""
        return ALL in self.listings

    @property
    def first(self) -> Listing:
        """The training images, or all of data in one piece."""
        return self.listings[ALL if self.whole else "train"]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.first.classes

    @property
    def reading(self) -> Reading:
        """How the files are read."""
        return self.first.reading


def dataset_of(originals: Originals) -> DataSet:
    """Return the data set of image files."""
    parts = {name: part_of(listing) for name, listing in originals.listings.items()}
    if originals.whole:
        parts = dict.fromkeys(("train", "val", "test"), parts[ALL])
    return DataSet(
        fingerprint=originals.fingerprint,
        classes=originals.classes,
        train=parts["train"],
        val=parts.get("val") or parts["test"],
        test=parts.get("test") or parts["val"],
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        notes=originals.notes,
        whole=originals.whole,
    )


def fingerprint_of(parts: Mapping[str, Listing]) -> str:
    """Return what identifies the files: part, path and size of each."""
    return fingerprint({name: listing.files for name, listing in parts.items()})


def labels_of(listing: Listing) -> Indices:
    """Return the class of each file, shape (n,)."""
    return np.asarray(listing.labels, dtype=np.int64)


def part_of(listing: Listing) -> FilePart:
    """Return the files of a listing as a part of a data set."""
    paths = tuple(listing.path(index) for index in range(len(listing.files)))
    groups = None if listing.groups is None else np.asarray(listing.groups, dtype=np.int64)
    return FilePart(labels_of(listing), paths, groups, listing.reading)


def notes_of(listings: Mapping[str, Listing]) -> tuple[str, ...]:
    """Return what was passed over in the parts, a sentence each."""
    return tuple(
        note if name == ALL else f"{name}: {note}"
        for name, listing in listings.items()
        for note in listing.passed.notes
    )
