"""Data sets that are folders of images by class: `imagefolder` and `imagenet`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from dcasearch.data.ground_truth import is_flat_val, wnids_of
from dcasearch.data.listing import Listing, PassedOver, folders_in, images_in, list_images, refuse_odd_names
from dcasearch.data.originals import Originals, dataset_of, fingerprint_of, notes_of
from dcasearch.data.parts import ALL, exact_folders, is_in_one_piece, part_folders, shown, stray_folders, stray_note
from dcasearch.data.prepared import is_prepared, open_prepared
from dcasearch.data.reading import OLDEST, Reading
from dcasearch.data.sets import DATASETS, DataSet, existing
from dcasearch.errors import DataError

IMAGEFOLDER_LAYOUT = (
    "train/<class>/<image> and test/<class>/<image> (or val/<class>/<image>), or <class>/<image> alone with data.split"
)
IMAGENET_LAYOUT = "train/<wnid>/<image> and val/<wnid>/<image> (or ImageNet's own flat val with its ground truth)"
_ANY_LAYOUT = f"{IMAGEFOLDER_LAYOUT}, or {IMAGENET_LAYOUT}"
_WNID = re.compile(r"n\d{8}")
_KAGGLE_FOLDER = Path("ILSVRC/Data/CLS-LOC")
"""Where Kaggle's archive holds train and val."""


@DATASETS.register("imagefolder")
def open_imagefolder(root: Path | None, reading: Reading) -> DataSet:
    """Return a folder of images by class, in parts (`train/<class>` …) or in one piece, or what was prepared of it.

    Raises:
        DataError: a folder is missing, empty, or has other classes than train.
    """
    root = existing("imagefolder", root, IMAGEFOLDER_LAYOUT)
    if is_prepared(root):
        return open_prepared(root, ("val", "test"), whole=True)
    return dataset_of(list_imagefolder(root, reading))


@DATASETS.register("imagenet")
def open_imagenet(root: Path | None, reading: Reading) -> DataSet:
    """Return ImageNet's 1,281,167 training and 50,000 validation images, or what was prepared of them.

    Train is one folder per class (wnid); val too, or flat as it comes, with its ground truth.

    Raises:
        DataError: a folder is missing, empty, or has other classes than train.
    """
    root = existing("imagenet", root, IMAGENET_LAYOUT)
    if is_prepared(root):
        return open_prepared(root, ("val",))
    return dataset_of(list_imagenet(root, reading))


def list_imagefolder(root: Path, reading: Reading) -> Originals:
    """List a folder of images by class, in parts or in one piece.

    Raises:
        DataError: it has neither layout.
    """
    return _listed(root, IMAGEFOLDER_LAYOUT, reading)


def list_imagenet(root: Path, reading: Reading) -> Originals:
    """List ImageNet's folders `train` and `val`; its images are read without EXIF rotation.

    Raises:
        DataError: it has another layout.
    """
    root = _imagenet_root(root)
    listings = list_parts(root, IMAGENET_LAYOUT, ("val",), reading.lying())
    return Originals(listings, fingerprint_of(listings), notes_of(listings))


def list_any(root: Path, reading: Reading = OLDEST) -> Originals:
    """List a folder of images of any layout; ImageNet's own is read without EXIF rotation.

    Raises:
        DataError: it has none of them.
    """
    root = existing_folder(root)
    return _listed(root, _ANY_LAYOUT, reading.lying() if is_imagenet(root, reading) else reading)


def _listed(root: Path, layout: str, reading: Reading) -> Originals:
    """List a folder of images whose parts have any of the usual names."""
    if is_in_one_piece(root, reading):
        whole = {ALL: list_images(root, reading)}
        return Originals(whole, fingerprint_of(whole), notes_of(whole))
    folders = part_folders(root, reading)
    # The test images of ImageNet have no labels.
    others = ("val",) if "val" in folders and is_flat_val(folders["val"]) else ("val", "test")
    listings = list_parts(root, layout, others, reading, folders)
    stray = stray_folders(root, folders, reading) if reading.nested else []
    notes = (*notes_of(listings), *([stray_note(stray)] if stray else []))
    return Originals(listings, fingerprint_of(listings), notes)


def _imagenet_root(root: Path) -> Path:
    return root / _KAGGLE_FOLDER if (root / _KAGGLE_FOLDER / "train").is_dir() else root


def is_imagenet(root: Path, reading: Reading = OLDEST) -> bool:
    """Return whether a folder of images has ImageNet's classes: every class folder is called by a wnid."""
    if is_flat_val(root / "val"):
        return True
    train = part_folders(root, reading).get("train")
    names = [] if train is None else folders_in(train)
    return bool(names) and all(_WNID.fullmatch(name) for name in names)


def existing_folder(root: Path) -> Path:
    """Return the folder that holds the parts.

    Raises:
        DataError: there is no such folder.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}; expected one that holds {IMAGEFOLDER_LAYOUT}")
    return _imagenet_root(root)


def list_parts(
    root: Path,
    layout: str,
    others: tuple[str, ...],
    reading: Reading = OLDEST,
    folders: Mapping[str, Path] | None = None,
) -> dict[str, Listing]:
    """List `train` and whichever of the other parts exist.

    Args:
        root: the folder that holds the parts.
        layout: what is expected there.
        others: parts beside `train` that are wanted.
        reading: how files are found.
        folders: the folder of each part where they have usual names, or the root may come in one piece; by default
            `train`, `val` and `test`.

    Raises:
        DataError: train or all others are missing, or their classes differ.
    """
    hint = "" if folders is None or not reading.nested else _hint(root, folders, reading)
    folders = exact_folders(root) if folders is None else folders
    if "train" not in folders:
        raise DataError(f"{root} has no folder `train`; expected {layout}{hint}")
    names = ("train", *(name for name in others if name in folders))
    if len(names) == 1:
        raise DataError(f"{root} has no folder `{'` or `'.join(others)}`; expected {layout}{hint}")
    parts = {name: list_part(root, name, folders[name], reading) for name in names}
    for name, listing in parts.items():
        _check_classes(root, folders["train"].name, parts["train"], folders[name].name, listing)
    return parts


def _hint(root: Path, folders: Mapping[str, Path], reading: Reading) -> str:
    """Return what to do where the only part has no other one."""
    if len(folders) != 1:
        return ""
    [folder] = folders.values()
    if stray := stray_folders(root, folders, reading):
        return (
            f". Beside `{folder.name}` lie folders with images: {shown(stray)}. If `{folder.name}` is one of the "
            f"classes, give its folder another name; if it is a part, move the other folders out of {root}"
        )
    return f". To divide the images of `{folder.name}`, give data.root: {folder} and data.split"


def _check_classes(root: Path, train: str, known: Listing, name: str, listing: Listing) -> None:
    """Refuse a part with other classes than the training images."""
    alone = {
        train: sorted(set(known.classes) - set(listing.classes)),
        name: sorted(set(listing.classes) - set(known.classes)),
    }
    said = [f"only in {folder}: {shown(classes)}" for folder, classes in alone.items() if classes]
    if said:
        raise DataError(f"{root}: {train} and {name} have different classes; {'; '.join(said)}")


def list_part(root: Path, name: str, folder: Path, reading: Reading = OLDEST) -> Listing:
    """List the folder of one part; ImageNet's flat validation images with their ground truth.

    Raises:
        DataError: the part is empty, its images have no labels, or it is ImageNet's flat val without its ground truth.
    """
    if name == "val" and is_flat_val(folder):
        return _list_flat(root, folder, reading)
    if not folders_in(folder, reading):
        raise DataError(
            f"{folder} holds no class folders, so its images have no labels; expected {folder}/<class>/<image>, or no "
            "such folder"
        )
    return replace(list_images(folder, reading), within=f"{folder.name}/")


def list_held_out(root: Path, name: str, folders: Mapping[str, Path], reading: Reading = OLDEST) -> Listing | None:
    """List one part of a folder of images, `val` or `test`; None where it has no such part.

    Raises:
        DataError: the part is empty, or ImageNet's flat val without its ground truth.
    """
    if name not in folders:
        return None
    if name == "test" and "val" in folders and is_flat_val(folders["val"]):
        return None  # the test images beside a flat val have no labels
    return list_part(root, name, folders[name], reading)


def _list_flat(root: Path, folder: Path, reading: Reading) -> Listing:
    """List the flat validation images as if they lay in class folders, so that both are the same data."""
    passed = PassedOver()
    found = dict(images_in(folder, replace(reading, nested=False), passed))
    refuse_odd_names(folder, sorted(found))
    wnids = wnids_of(root, sorted(found))
    files = sorted((wnids[name], name) for name in found)
    seen = tuple(sorted(set(wnids.values())))
    label = {wnid: number for number, wnid in enumerate(seen)}
    return Listing(
        folder,
        seen,
        tuple((f"{wnid}/{name}", found[name]) for wnid, name in files),
        tuple(label[wnid] for wnid, _ in files),
        flat=True,
        passed=passed,
        reading=reading,
        within=f"{folder.name}/",
    )
