"""How a folder of images, or a list of them, is to be read: from what lies there to a study's `data`."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from dcasearch.config.data_set import NEWEST_READING, Columns, Data, Shares
from dcasearch.data.folders import is_imagenet
from dcasearch.data.listed import columns_of, rows_of
from dcasearch.data.parts import PARTS, is_in_one_piece
from dcasearch.data.prepared import is_prepared, read_index
from dcasearch.data.reading import READINGS
from dcasearch.errors import DataError
from dcasearch.files import expanded

LISTS = (".csv", ".tsv", ".parquet", ".pq")
"""Endings of a file that names images."""
SHARES = Shares(validation=0.2, test=0.2)
"""What is held out of data in one piece."""
_NAMES: Mapping[str, tuple[str, ...]] = {
    "path": (
        "path",
        "file",
        "filename",
        "file_name",
        "filepath",
        "file_path",
        "image",
        "image_path",
        "img",
        "image_id",
    ),
    "label": ("label", "class", "class_name", "category", "target", "diagnosis", "species", "labels", "dx", "y"),
    "group": (
        "group",
        "patient",
        "patient_id",
        "subject",
        "subject_id",
        "person",
        "case",
        "case_id",
        "series",
        "burst",
    ),
    "split": ("split", "part", "set", "subset", "fold", "partition"),
}
"""What columns are usually called, in lower case; the first that is there counts."""
_ROWS = 200
"""Rows that are looked at to tell what a column holds."""


def data_of(place: Path) -> Data:
    """Return how a folder or a list of images is to be read.

    Args:
        place: `<class>/<image>`, or parts of such folders; ImageNet; a prepared set; or a CSV or Parquet file with a
            row for each image.

    Raises:
        DataError: there is nothing, or nothing that is known; the message says what is.
    """
    place = expanded(place).absolute()
    if place.is_file():
        return _list_of(place)
    if not place.is_dir():
        raise DataError(f"there is no folder and no list {place}")
    if is_prepared(place):
        split = SHARES if read_index(place).whole else None
        return Data(name="imagefolder", root=str(place), split=split, reading=NEWEST_READING)
    _refuse_others(place)
    if is_in_one_piece(place, READINGS[NEWEST_READING]):
        return Data(name="imagefolder", root=str(place), split=SHARES, reading=NEWEST_READING)
    return Data(name="imagenet" if is_imagenet(place) else "imagefolder", root=str(place), reading=NEWEST_READING)


def _refuse_others(folder: Path) -> None:
    """Say what to do with a folder that holds boxes, or a list beside its images.

    Raises:
        DataError: it does.
    """
    if any((folder / "annotations").glob("*.json")):
        raise DataError(
            f"{folder} holds images with boxes (COCO): `dcasearch init FOLDER` copies `studies/shapes_detection.yaml`, "
            "a study with `task: detection` to start from"
        )
    inside = list(folder.iterdir())
    lists = sorted(path for path in inside if path.suffix.lower() in LISTS and path.is_file())
    if lists and not any(path.is_dir() and not path.name.startswith(".") for path in inside):
        raise DataError(f"{folder} holds no class folders, but a list: give it as --data {lists[0]}")


def _list_of(file: Path) -> Data:
    if file.suffix.lower() not in LISTS:
        raise DataError(f"{file} is no list of images; lists end in {', '.join(LISTS)}")
    names = columns_of(file)
    if any((file.parent / name).is_file() for name in names):
        raise DataError(f"{file}: its first line names an image already; add a head, e.g. path,label")
    rows = list(islice(rows_of(file, names), _ROWS))
    if not rows:
        raise DataError(f"{file} names no image")
    path, root = _paths_in(file, names, rows)
    label = _named("label", names, path) or _labels_in(file, names, rows, path)
    group = _named("group", names, path, label)
    split = _named("split", names, path, label, group)
    if split is not None and not {_cell(row, split).lower() for row in rows} <= set(PARTS):
        split = None  # e.g. numbers of folds
    return Data(
        name="imagelist",
        root=str(root),
        file=str(file),
        columns=Columns(path=path, label=label, group=group, split=split),
        split=SHARES if split is None else None,
        reading=NEWEST_READING,
    )


def _paths_in(file: Path, names: Sequence[str], rows: Sequence[Mapping[str, object]]) -> tuple[str, Path]:
    """Return the column whose cells are files, and the folder that they lie below."""
    usual = [name for name in names if name.lower() in _NAMES["path"]]
    for name in (*usual, *(name for name in names if name not in usual)):
        for folder in (file.parent, file.parent / "images", file.parent / file.stem):
            if all((cell := _cell(row, name)) and (folder / cell).is_file() for row in rows[:20]):
                return name, folder
    raise DataError(
        f"{file}: in no column are the cells of the first rows files below {file.parent}; paths are given from there, "
        f"with their endings. Columns: {', '.join(names)}"
    )


def _named(role: str, names: Sequence[str], *taken: str | None) -> str | None:
    """Return the column that is called as a role usually is."""
    free = {name.lower(): name for name in names if name not in taken}
    return next((free[usual] for usual in _NAMES[role] if usual in free), None)


def _labels_in(file: Path, names: Sequence[str], rows: Sequence[Mapping[str, object]], path: str) -> str:
    """Return the only column with few values, where none is called as labels usually are."""
    fit = [
        name
        for name in names
        if name != path
        and name.lower() not in (*_NAMES["group"], *_NAMES["split"])
        and 2 <= len(_values(name, rows)) <= max(2, len(rows) // 4)
    ]
    if len(fit) != 1:
        shown = ", ".join(names)
        raise DataError(f"{file}: which column holds the class? Call it `label`. Columns: {shown}")
    return fit[0]


def _values(name: str, rows: Iterable[Mapping[str, object]]) -> set[str]:
    return {_cell(row, name) for row in rows}


def _cell(row: Mapping[str, object], name: str) -> str:
    value = row[name]
    return "" if value is None else str(value).strip()


def write_groups(file: Path, rows: Sequence[tuple[str, str, str]]) -> None:
    """Write a list of images with columns path, label and group."""
    with file.open("x", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow(("path", "label", "group"))
        writer.writerows(rows)
