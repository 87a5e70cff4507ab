"""Which class each image of ImageNet's own validation folder has: it comes as one flat folder and a file of labels."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from dcasearch.errors import DataError
from dcasearch.files import read_regular

KAGGLE = "LOC_val_solution.csv"
"""`ImageId,PredictionString` with a wnid first in the second column."""
DEVKIT = "ILSVRC2012_validation_ground_truth.txt"
"""Line n is the class of image n, numbered as in the devkit's meta.mat and not by the wnids' order."""
WNIDS = "imagenet_2012_validation_synset_labels.txt"
"""Line n is the wnid of image n."""
_META = "meta.mat"
ACCEPTED = f"{KAGGLE} (Kaggle), {DEVKIT} with {_META} beside it (ILSVRC2012_devkit_t12/data), or {WNIDS}"
_NUMBERED = re.compile(r"^ILSVRC2012_val_(\d{8})$")
MAX_BYTES = 100_000_000
"""Of a file of labels; Kaggle's has 10 MB."""
_LEAVES = 1000
"""The devkit's first ids are the classes; those after them are what the classes are kinds of."""


def wnids_of(root: Path, images: list[str]) -> dict[str, str]:
    """Return the class (wnid) of each image of ImageNet's flat validation folder.

    Args:
        root: the folder that holds `train` and `val`; the labels are looked for there, in `val`, in the folders
            above as far as Kaggle's archive goes (ILSVRC/Data/CLS-LOC), and in the devkit's folder beside it.
        images: file names, `ILSVRC2012_val_00000001.JPEG`.

    Raises:
        DataError: there is no file of labels, or it does not have an image.
    """
    readers: dict[str, Callable[[Path], dict[str, str]]] = {KAGGLE: _kaggle, DEVKIT: _devkit, WNIDS: _wnids}
    for folder in _folders(root):
        for name, read in readers.items():
            if (folder / name).is_file():
                return _matched(folder / name, read(folder / name), images)
    raise DataError(
        f"{root / 'val'} holds images and no class folders, and there is no file of their classes. Accepted, in "
        f"{root}, in val or above: {ACCEPTED}; or sort the images into val/<wnid>/"
    )


def _folders(root: Path) -> Iterator[Path]:
    yield from (root, root / "val")
    for folder in (root, *list(root.resolve().parents)[:3]):
        yield folder
        for devkit in ("ILSVRC2012_devkit_t12", "devkit", "ILSVRC"):
            yield from (folder / devkit / "data", folder / devkit)


def _matched(path: Path, wnids: dict[str, str], images: list[str]) -> dict[str, str]:
    missing = [image for image in images if Path(image).stem not in wnids]
    if missing:
        raise DataError(
            f"{path} says no class of {len(missing)} images of val, {missing[0]} among them; it has {len(wnids)}, "
            "named as ILSVRC2012_val_00000001.JPEG"
        )
    return {image: wnids[Path(image).stem] for image in images}


def _kaggle(path: Path) -> dict[str, str]:
    try:
        rows = list(csv.DictReader(io.StringIO(_text(path), newline="")))
        return {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}
    except (KeyError, IndexError, AttributeError, csv.Error):
        raise DataError(f"{path} has other columns than ImageId,PredictionString") from None


def _text(path: Path) -> str:
    """Return a file of labels; DataError where it is no text."""
    try:
        return read_regular(path, MAX_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise DataError(f"{path}: {why}") from None


def _wnids(path: Path) -> dict[str, str]:
    return _numbered(_text(path).split())


def _devkit(path: Path) -> dict[str, str]:
    meta = path.with_name(_META)
    if not meta.is_file():
        raise DataError(
            f"{path} numbers the classes as the devkit does, and {meta} that says which is which is missing: take it "
            "from ILSVRC2012_devkit_t12/data"
        )
    wnid_of = _devkit_classes(meta)
    try:
        return _numbered([wnid_of[int(line)] for line in _text(path).split()])
    except (ValueError, KeyError) as error:
        raise DataError(f"{path}: {error} is no class of {meta}") from None


def _devkit_classes(meta: Path) -> dict[int, str]:
    from scipy.io import loadmat  # brings scipy.sparse, for the devkit's file alone

    try:
        synsets = loadmat(meta, squeeze_me=True)["synsets"]
        found = {int(synset["ILSVRC2012_ID"]): str(synset["WNID"]) for synset in synsets}
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:
        raise DataError(f"{meta} is not the devkit's file of classes: {error}") from error
    return {number: wnid for number, wnid in found.items() if number <= _LEAVES}


def _numbered(wnids: list[str]) -> dict[str, str]:
    return {f"ILSVRC2012_val_{number:08}": wnid for number, wnid in enumerate(wnids, start=1)}


def is_flat_val(folder: Path) -> bool:
    """Return whether a folder holds ImageNet's validation images as they come, without class folders."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        # ImageNet's has nothing else, so a few tell.
        first = list(islice((entry.name for entry in entries if entry.is_file()), 100))
    return any(_NUMBERED.match(Path(name).stem) for name in first)
