"""The images that an exported network is measured on: the data's own validation or test images. Train is not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from dcasearch.config.data_set import NEWEST_READING, Data
from dcasearch.data.classes import open_set, prepared_as
from dcasearch.data.folders import IMAGEFOLDER_LAYOUT, IMAGENET_LAYOUT, existing_folder, list_held_out
from dcasearch.data.listing import list_images
from dcasearch.data.originals import part_of
from dcasearch.data.parts import exact_folders, part_folders
from dcasearch.data.prepared import is_prepared, open_prepared, read_index
from dcasearch.data.reading import READINGS, Reading
from dcasearch.data.sets import IMAGENET_MEAN, IMAGENET_STD, DataSet, Part
from dcasearch.errors import DataError
from dcasearch.evaluation import fingerprint
from dcasearch.files import expanded

Split: TypeAlias = Literal["validation", "test"]
_FOLDERS = ("imagefolder", "imagenet")
_FOLDER_OF: dict[Split, str] = {"validation": "val", "test": "test"}


@dataclass(frozen=True, eq=False, kw_only=True)
class HeldOut:
    """Images to measure on."""

    dataset: DataSet
    part: Part
    split: Split
    """Which of the data's parts they are; not the wanted one where the data has the other one alone."""
    fingerprint: str
    """Of the images and of their classes."""


def open_held_out(data: Data, split: Split) -> HeldOut:
    """Return the wanted images, or the other ones where the data has no such part.

    Of a folder of images that part alone is listed, so it needs no `train`.

    Raises:
        UserError: no such data set.
        DataError: its files are missing or of another layout, or it has not the classes that are asked for.
    """
    found = _open(data, split)
    how = data.preprocessing
    return found if how is None else replace(found, dataset=prepared_as(found.dataset, how))


def _open(data: Data, split: Split) -> HeldOut:
    root = None
    if data.name in _FOLDERS and data.root is not None:
        root = existing_folder(expanded(data.root))
        if data.classes is None and data.split is None:
            if not is_prepared(root):
                reading = READINGS[data.reading]
                reading = reading.lying() if data.name == "imagenet" else reading
                return _in_folder(root, split, reading, _folders(root, data))
            if data.name == "imagefolder" and read_index(root).whole:
                dataset = open_prepared(root, (), whole=True)
                return _all_of(dataset, dataset.val, split, dataset.fingerprint)
    dataset = open_set(data)
    if dataset.val is dataset.test:
        split = "validation" if root is not None and _has_val(root, data) else "test"
    part = dataset.val if split == "validation" else dataset.test
    return HeldOut(dataset=dataset, part=part, split=split, fingerprint=_identity(dataset.fingerprint, dataset.classes))


def _has_val(root: Path, data: Data) -> bool:
    return "val" in (read_index(root).parts if is_prepared(root) else _folders(root, data))


def _folders(root: Path, data: Data) -> dict[str, Path]:
    """Return the folder of each part; of a version that knows exact names alone also what has a usual one."""
    exact = exact_folders(root)
    if data.name == "imagenet" or (exact and not READINGS[data.reading].nested):
        return exact
    return part_folders(root, READINGS[NEWEST_READING])


def _in_folder(root: Path, wanted: Split, reading: Reading, folders: Mapping[str, Path]) -> HeldOut:
    other: Split = "test" if wanted == "validation" else "validation"
    for split in (wanted, other):
        listing = list_held_out(root, _FOLDER_OF[split], folders, reading)
        if listing is None and reading.nested and not folders:
            listing = list_images(root, reading)  # all of it is measured on
        if listing is None:
            continue
        part, files = part_of(listing), fingerprint(listing.files)
        dataset = DataSet(
            fingerprint=files,
            classes=listing.classes,
            train=part,
            val=part,
            test=part,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        )
        return _all_of(dataset, part, split, files)
    raise DataError(f"{root} has no folder `val` or `test`; expected {IMAGEFOLDER_LAYOUT}, or {IMAGENET_LAYOUT}")


def _all_of(dataset: DataSet, part: Part, split: Split, images: str) -> HeldOut:
    return HeldOut(dataset=dataset, part=part, split=split, fingerprint=_identity(images, dataset.classes))


def _identity(images: str, classes: tuple[str, ...]) -> str:
    return fingerprint({"images": images, "classes": classes})
