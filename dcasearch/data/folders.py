"""Data sets that are folders of images by class: `imagefolder` and `imagenet`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dcasearch.data.images import Listing, list_images
from dcasearch.data.sets import DATASETS, IMAGENET_MEAN, IMAGENET_STD, DataSet, FilePart, existing
from dcasearch.errors import DataError
from dcasearch.evaluation import fingerprint

IMAGEFOLDER_LAYOUT = "train/<class>/<image> and test/<class>/<image> (or val/<class>/<image>)"
IMAGENET_LAYOUT = "train/<wnid>/<image> and val/<wnid>/<image>"


@DATASETS.register("imagefolder")
def open_imagefolder(root: Path | None) -> DataSet:
    """Return `train/<class>` with `test/<class>`, `val/<class>` or both.

    Raises:
        DataError: a folder is missing, empty, or has other classes than train.
    """
    return _open_folders(existing("imagefolder", root, IMAGEFOLDER_LAYOUT), IMAGEFOLDER_LAYOUT, ("val", "test"))


@DATASETS.register("imagenet")
def open_imagenet(root: Path | None) -> DataSet:
    """Return ImageNet's 1,281,167 training and 50,000 validation images, one folder per class (wnid).

    Raises:
        DataError: a folder is missing, empty, or has other classes than train.
    """
    return _open_folders(existing("imagenet", root, IMAGENET_LAYOUT), IMAGENET_LAYOUT, ("val",))


def list_parts(root: Path, layout: str, others: tuple[str, ...]) -> dict[str, Listing]:
    """List `train` and whichever of the other parts exist.

    Raises:
        DataError: train or all others are missing, or their classes differ.
    """
    if not (root / "train").is_dir():
        raise DataError(f"{root} has no folder `train`; expected {layout}")
    parts = {name: list_images(root / name) for name in ("train", *others) if (root / name).is_dir()}
    if len(parts) == 1:
        raise DataError(f"{root} has no folder `{'` or `'.join(others)}`; expected {layout}")
    for name, listing in parts.items():
        odd = sorted(set(parts["train"].classes) ^ set(listing.classes))
        if odd:
            raise DataError(f"{root}: train and {name} have different classes: {', '.join(odd[:5])} in one only")
    return parts


def fingerprint_of(parts: dict[str, Listing]) -> str:
    """Return what identifies the files: part, path and size of each."""
    return fingerprint({name: listing.files for name, listing in parts.items()})


def labels_of(listing: Listing) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the class of each file, shape (n,)."""
    return np.asarray(listing.labels, dtype=np.int64)


def _open_folders(root: Path, layout: str, others: tuple[str, ...]) -> DataSet:
    listings = list_parts(root, layout, others)
    parts = {
        name: FilePart(labels_of(listing), tuple(str(listing.root / file) for file, _ in listing.files))
        for name, listing in listings.items()
    }
    return DataSet(
        fingerprint=fingerprint_of(listings),
        classes=listings["train"].classes,
        train=parts["train"],
        val=parts.get("val") or parts["test"],
        test=parts.get("test") or parts["val"],
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )
