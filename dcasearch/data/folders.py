"""Data sets that are folders of images by class: `imagefolder` and `imagenet`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from dcasearch.data.ground_truth import is_flat, wnids_of
from dcasearch.data.listing import Listing, PassedOver, images_in, list_images, refuse_odd_names
from dcasearch.data.prepared import is_prepared, open_prepared
from dcasearch.data.reading import OLDEST, Reading
from dcasearch.data.sets import DATASETS, IMAGENET_MEAN, IMAGENET_STD, DataSet, FilePart, existing
from dcasearch.errors import DataError
from dcasearch.evaluation import fingerprint

IMAGEFOLDER_LAYOUT = "train/<class>/<image> and test/<class>/<image> (or val/<class>/<image>)"
IMAGENET_LAYOUT = "train/<wnid>/<image> and val/<wnid>/<image> (or ImageNet's own flat val with its ground truth)"
_WNID = re.compile(r"n\d{8}")
_KAGGLE_FOLDER = Path("ILSVRC/Data/CLS-LOC")
"""Where Kaggle's archive holds train and val."""


@DATASETS.register("imagefolder")
def open_imagefolder(root: Path | None, reading: Reading) -> DataSet:
    """Return `train/<class>` with `test/<class>`, `val/<class>` or both, or what was prepared of them.

    Raises:
        DataError: a folder is missing, empty, or has other classes than train.
    """
    root = existing("imagefolder", root, IMAGEFOLDER_LAYOUT)
    if reading.nested and is_in_one_piece(root):
        return _open_whole(root, reading)
    return _open_folders(root, IMAGEFOLDER_LAYOUT, ("val", "test"), reading)


@DATASETS.register("imagenet")
def open_imagenet(root: Path | None, reading: Reading) -> DataSet:
    """Return ImageNet's 1,281,167 training and 50,000 validation images, or what was prepared of them.

    Train is one folder per class (wnid); val too, or flat as it comes, with its ground truth.

    Raises:
        DataError: a folder is missing, empty, or has other classes than train.
    """
    root = _imagenet_root(existing("imagenet", root, IMAGENET_LAYOUT))
    return _open_folders(root, IMAGENET_LAYOUT, ("val",), reading.lying())


def is_in_one_piece(root: Path) -> bool:
    """Return whether a folder holds the class folders themselves, and no parts."""
    return not is_prepared(root) and not any((root / name).is_dir() for name in ("train", "val", "test"))


def _open_whole(root: Path, reading: Reading) -> DataSet:
    listing = list_images(root, reading)
    part = part_of(listing)
    return DataSet(
        fingerprint=fingerprint_of({"all": listing}),
        classes=listing.classes,
        train=part,
        val=part,
        test=part,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        notes=listing.passed.notes,
        whole=True,
    )


def _imagenet_root(root: Path) -> Path:
    return root / _KAGGLE_FOLDER if (root / _KAGGLE_FOLDER / "train").is_dir() else root


def list_any(root: Path, reading: Reading = OLDEST) -> dict[str, Listing]:
    """List a folder of images of either layout; ImageNet's own is read without EXIF rotation.

    Raises:
        DataError: it has neither.
    """
    root = existing_folder(root)
    # The test images of ImageNet have no labels.
    others = ("val",) if is_flat_val(root / "val") else ("val", "test")
    reading = reading.lying() if is_imagenet(root) else reading
    return list_parts(root, f"{IMAGEFOLDER_LAYOUT}, or {IMAGENET_LAYOUT}", others, reading)


def is_imagenet(root: Path) -> bool:
    """Return whether a folder of images has ImageNet's classes: every class folder is called by a wnid."""
    if is_flat_val(root / "val"):
        return True
    if not (root / "train").is_dir():
        return False
    with os.scandir(root / "train") as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    return bool(names) and all(_WNID.fullmatch(name) for name in names)


def existing_folder(root: Path) -> Path:
    """Return the folder that holds the parts.

    Raises:
        DataError: there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; expected one that holds {IMAGEFOLDER_LAYOUT}")
    return _imagenet_root(root)


def list_parts(root: Path, layout: str, others: tuple[str, ...], reading: Reading = OLDEST) -> dict[str, Listing]:
    """List `train` and whichever of the other parts exist.

    Raises:
        DataError: train or all others are missing, or their classes differ.
    """
    if not (root / "train").is_dir():
        raise DataError(f"{root} has no folder `train`; expected {layout}")
    parts = {"train": list_images(root / "train", reading)}
    for name in others:
        if name == "val" and is_flat_val(root / name):
            parts[name] = _list_flat(root, reading)
        elif (root / name).is_dir():
            parts[name] = list_images(root / name, reading)
    if len(parts) == 1:
        raise DataError(f"{root} has no folder `{'` or `'.join(others)}`; expected {layout}")
    for name, listing in parts.items():
        odd = sorted(set(parts["train"].classes) ^ set(listing.classes))
        if odd:
            raise DataError(f"{root}: train and {name} have different classes: {', '.join(odd[:5])} in one only")
    return parts


def list_held_out(root: Path, name: str, reading: Reading = OLDEST) -> Listing | None:
    """List one part of a folder of either layout, `val` or `test`; None where it has no such part.

    Raises:
        DataError: the part is empty, or ImageNet's flat val without its ground truth.
    """
    flat = is_flat_val(root / "val")
    if flat and name == "val":
        return _list_flat(root, reading)
    if flat or not (root / name).is_dir():  # the test images beside a flat val have no labels
        return None
    return list_images(root / name, reading)


def is_flat_val(folder: Path) -> bool:
    """Return whether a folder holds ImageNet's validation images as they come, without class folders."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        # ImageNet's has nothing else, so a few tell.
        first = list(islice((entry.name for entry in entries if entry.is_file()), 100))
    return is_flat(first)


def _list_flat(root: Path, reading: Reading) -> Listing:
    """List the flat validation images as if they lay in class folders, so that both are the same data."""
    passed = PassedOver()
    found = dict(images_in(root / "val", replace(reading, nested=False), passed))
    refuse_odd_names(root / "val", sorted(found))
    wnids = wnids_of(root, sorted(found))
    files = sorted((wnids[name], name) for name in found)
    seen = tuple(sorted(set(wnids.values())))
    label = {wnid: number for number, wnid in enumerate(seen)}
    return Listing(
        root / "val",
        seen,
        tuple((f"{wnid}/{name}", found[name]) for wnid, name in files),
        tuple(label[wnid] for wnid, _ in files),
        flat=True,
        passed=passed,
        reading=reading,
    )


def fingerprint_of(parts: dict[str, Listing]) -> str:
    """Return what identifies the files: part, path and size of each."""
    return fingerprint({name: listing.files for name, listing in parts.items()})


def labels_of(listing: Listing) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the class of each file, shape (n,)."""
    return np.asarray(listing.labels, dtype=np.int64)


def part_of(listing: Listing) -> FilePart:
    """Return the files of a listing as a part of a data set."""
    paths = tuple(listing.path(index) for index in range(len(listing.files)))
    return FilePart(labels_of(listing), paths, reading=listing.reading)


def notes_of(listings: Mapping[str, Listing]) -> tuple[str, ...]:
    """Return what was passed over in the parts, a sentence each."""
    return tuple(f"{name}: {note}" for name, listing in listings.items() for note in listing.passed.notes)


def _open_folders(root: Path, layout: str, others: tuple[str, ...], reading: Reading) -> DataSet:
    if is_prepared(root):
        return open_prepared(root, others)
    listings = list_parts(root, layout, others, reading)
    parts = {name: part_of(listing) for name, listing in listings.items()}
    return DataSet(
        fingerprint=fingerprint_of(listings),
        classes=listings["train"].classes,
        train=parts["train"],
        val=parts.get("val") or parts["test"],
        test=parts.get("test") or parts["val"],
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        notes=notes_of(listings),
    )
