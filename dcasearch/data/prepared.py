"""A prepared data set: shards of decoded, resized images, and the index that says what they are.

The index is written last, so a folder that has one is whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from dcasearch.architecture.specification import Frozen
from dcasearch.bounds import Within
from dcasearch.config.data_set import ReadingVersion
from dcasearch.config.numbers import Pixels
from dcasearch.data.parts import ALL
from dcasearch.data.sets import IMAGENET_MEAN, IMAGENET_STD, DataSet, PreparedPart
from dcasearch.data.shards import Shards
from dcasearch.errors import DataError, mistakes_of, shortened
from dcasearch.evaluation import fingerprint
from dcasearch.files import read_regular

INDEX = "prepared.json"
UNFINISHED = "preparing.json"
SOURCE = "source.txt"
"""Says where the original images lay; it is no part of the data."""
MAX_IMAGES = 1_000_000_000
"""Of a part; the largest set that is public has a third of it."""
MAX_BYTES = 4_000_000_000
"""Of an index: some 60 for an image with a group."""
_FORMAT = 1
_PARTS = ("train", "val", "test", ALL)


class PartIndex(Frozen):
    """What the shards of one part hold, in the order of the original's files."""

    images_per_class: list[Annotated[NonNegativeInt, Within(high=MAX_IMAGES)]]
    shards: list[str]
    """SHA-256 of each file."""
    files: tuple[str, ...] = Field(default=(), strict=False)
    """Fingerprint of each shard's source files, their names and sizes; empty in indices of older versions."""
    unreadable: dict[int, tuple[str, str]]
    """Images that could not be decoded: path below the original's root, and why. Their pixels are zero."""
    groups: tuple[int, ...] | None = Field(default=None, strict=False)
    """Group of each image, by number; None where the originals have no groups, and in indices of older versions."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        images = self.images
        if images > MAX_IMAGES:
            raise ValueError(f"has {images:,} images; at most {MAX_IMAGES:,} are read")
        if len(self.files) not in (0, len(self.shards)):
            raise ValueError(f"has {len(self.files):,} fingerprints for {len(self.shards):,} files")
        if not all(0 <= number < images for number in self.unreadable):
            raise ValueError(f"has an unreadable image that is none of its {images:,}")
        if self.groups is not None and len(self.groups) != images:
            raise ValueError(f"has {len(self.groups):,} groups for {images:,} images")
        return self

    @property
    def images(self) -> int:
        """The number of images, unreadable ones among them."""
        return sum(self.images_per_class)


class Plan(Frozen):
    """What a preparation that is not finished makes."""

    source: str
    """Fingerprint of the original files."""
    size: int
    """Pixels per side."""
    reading: ReadingVersion = 1
    """Version of how the files are found and read."""
    upright: bool | None = None
    """Whether EXIF rotation is applied; None in plans of older versions."""


class Index(Frozen):
    """All there is to know of a prepared data set but its pixels."""

    format: int = _FORMAT
    size: Pixels
    """Pixels per side: the shorter side was resized to so many, and the centre square cut out."""
    source: str
    """Fingerprint of the original files."""
    reading: ReadingVersion = 1
    """Version of how the files were found and read."""
    upright: bool = False
    """Whether EXIF rotation was applied."""
    passed_over: tuple[str, ...] = Field(default=(), strict=False)
    """What the folders held beside images, a sentence each."""
    classes: list[str]
    parts: dict[str, PartIndex]
    """train with val, test or both; or `all` of data in one piece."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, part in self.parts.items():
            if name not in _PARTS:
                raise ValueError(f"'{shortened(name, 40)}' is no part; known: {', '.join(_PARTS)}")
            if len(part.images_per_class) != len(self.classes):
                raise ValueError(f"{name} has {len(part.images_per_class):,} of {len(self.classes):,} classes")
            if len(part.shards) > part.images:
                raise ValueError(f"{name} has {len(part.shards):,} files for {part.images:,} images")
        return self

    @property
    def whole(self) -> bool:
        """Whether the data comes in one piece, which a study divides."""
        return ALL in self.parts

    @property
    def fingerprint(self) -> str:
        """Of the pixels, labels and groups; equal on every machine that came to the same pixels."""
        parts = {
            name: [
                part.images_per_class,
                part.shards,
                sorted(part.unreadable),
                *([] if part.groups is None else [part.groups]),
            ]
            for name, part in self.parts.items()
        }
        return fingerprint({"prepared": self.size, "classes": self.classes, "parts": parts})

    def as_json(self) -> bytes:
        """Return what the index file holds: fields that do not apply are left out, so that older versions read it."""
        return self.model_dump_json(exclude_none=True).encode()

    def shards(self, folder: Path) -> dict[str, Shards]:
        """Return the files of each part."""
        return {name: Shards(folder, name, self.size, part.images) for name, part in self.parts.items()}


def read_index(folder: Path) -> Index:
    """Read the index of a prepared folder.

    Raises:
        DataError: there is none, or it is of another version.
    """
    path = folder / INDEX
    try:
        index = Index.model_validate_json(read_regular(path, MAX_BYTES))
    except OSError as error:
        raise DataError(f"{folder} is no prepared data set: {path.name}: {error.strerror}") from None
    except ValidationError as error:
        raise DataError(f"{path} is no index of this version: {mistakes_of(error)[0]}") from None
    if index.format != _FORMAT:
        raise DataError(f"{path} is of format {index.format}; this version reads format {_FORMAT}: prepare it anew")
    return index


def is_prepared(root: Path) -> bool:
    """Return whether a folder is a prepared data set.

    Raises:
        DataError: it is one, but not finished.
    """
    if (root / INDEX).is_file():
        return True
    if (root / UNFINISHED).is_file():
        raise DataError(f"{root} is not prepared to the end; the same `dcasearch data prepare` command goes on")
    return False


def open_prepared(root: Path, others: tuple[str, ...], *, whole: bool = False) -> DataSet:
    """Return a prepared data set; reads its index and the sizes of its files.

    Args:
        root: its folder.
        others: names of the parts beside train that serve, e.g. `("val", "test")`.
        whole: whether a set in one piece serves, too.

    Raises:
        DataError: a part or a file is missing, or a file is cut off.
    """
    index = read_index(root)
    if index.whole and not whole:
        raise DataError(f"{root} was prepared in one piece; expected train and {' or '.join(others)}")
    if not index.whole and ("train" not in index.parts or not any(name in index.parts for name in others)):
        raise DataError(f"{root} was prepared with {', '.join(index.parts)}; expected train and {' or '.join(others)}")
    parts = {name: _part(index, name, shards) for name, shards in index.shards(root).items()}
    if index.whole:
        parts = dict.fromkeys(("train", "val", "test"), parts[ALL])
    return DataSet(
        fingerprint=index.fingerprint,
        classes=tuple(index.classes),
        train=parts["train"],
        val=parts.get("val") or parts["test"],
        test=parts["test"] if "test" in parts and "test" in others else parts["val"],
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        size=index.size,
        notes=(*index.passed_over, *_unreadable_notes(index)),
        whole=index.whole,
    )


def _unreadable_notes(index: Index) -> Iterator[str]:
    """Yield how many images of each part could not be read when the set was prepared."""
    for name, part in index.parts.items():
        if part.unreadable:
            first = ", ".join(path for path, _ in list(part.unreadable.values())[:3])
            share = len(part.unreadable) / part.images
            where = "" if name == ALL else f"{name}: "
            yield f"{where}{len(part.unreadable):,} of {part.images:,} images ({share:.2%}) could not be read: {first}"


def _part(index: Index, name: str, shards: Shards) -> PreparedPart:
    part = index.parts[name]
    for shard in range(len(shards)):
        path = shards.path(shard)
        has = path.stat().st_size if path.is_file() else 0
        if has <= shards.bytes(shard):
            raise DataError(
                f"{path} has {has:,} bytes, fewer than its {len(shards.rows(shard))} images need: the copy is not "
                "complete; copy it again, or let the `dcasearch data prepare` that made it mend it"
            )
    labels = np.repeat(np.arange(len(index.classes)), part.images_per_class).astype(np.int64)
    groups = None if part.groups is None else np.asarray(part.groups, dtype=np.int64)
    return PreparedPart(labels, index.size, shards, part.unreadable, np.arange(part.images), groups)
