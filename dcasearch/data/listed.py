"""The data set `imagelist`: a CSV or Parquet file with a row for each image: path, class, perhaps group and part."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dcasearch.config.data_set import Columns
from dcasearch.data.dividing import part_of
from dcasearch.data.reading import Reading
from dcasearch.data.sets import DATASETS, IMAGENET_MEAN, IMAGENET_STD, DataSet, FilePart
from dcasearch.errors import DataError, nearest
from dcasearch.evaluation import fingerprint

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

NAME = "imagelist"
_PARTS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What a split column may say, in lower case."""
_SHOWN = 5
"""Rows that an error names."""


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    group: str
    part: str


@DATASETS.register(NAME)
def refuse_without_list(root: Path | None, reading: Reading) -> DataSet:
    """Say what is missing: `data.file` names the file, and `open_list` opens it."""
    raise DataError("data.file is missing: imagelist needs the CSV or Parquet file of its images", ("data",))


def open_list(root: Path | None, file: Path, columns: Columns, reading: Reading) -> DataSet:
    """Return the images of a list; in one piece where it has no split column.

    Args:
        root: the folder that paths are below; by default that of the list.
        file: CSV with a head, or Parquet.
        columns: what its columns are called.
        reading: how the images are read.

    Raises:
        DataError: the list or images are missing, a column is missing, or rows are empty, double or of an unknown part;
            each kind with the first rows.
    """
    if not file.is_file():
        raise DataError(f"data.file: there is no file {file}", ("data", "file"))
    folder = file.parent if root is None else root
    rows = list(_rows(file, columns))
    _check(rows, file, folder)
    rows.sort(key=lambda row: (row.label, row.path))
    classes = tuple(sorted({row.label for row in rows}))
    if len(classes) < 2:
        raise DataError(f"{file} names {len(classes)} class; two are needed at least", ("data", "file"))
    number = {name: n for n, name in enumerate(classes)}
    groups = {name: n for n, name in enumerate(sorted({row.group for row in rows}))}
    everything = FilePart(
        np.array([number[row.label] for row in rows], dtype=np.int64),
        tuple(str(folder / row.path) for row in rows),
        None if columns.group is None else np.array([groups[row.group] for row in rows], dtype=np.int64),
        reading,
    )
    content = [(row.path, row.label, row.group, row.part, _bytes(folder / row.path)) for row in rows]
    whole = DataSet(
        fingerprint=fingerprint(content),
        classes=classes,
        train=everything,
        val=everything,
        test=everything,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        whole=True,
    )
    return whole if columns.split is None else _in_parts(whole, everything, rows, file)


def _in_parts(whole: DataSet, everything: FilePart, rows: Sequence[_Row], file: Path) -> DataSet:
    """Return the parts that a split column names."""
    parts = {
        name: part_of(everything, np.array([n for n, row in enumerate(rows) if row.part == name], dtype=np.int64))
        for name in ("train", "val", "test")
    }
    if not len(parts["train"].labels) or not (len(parts["val"].labels) or len(parts["test"].labels)):
        raise DataError(f"{file}: the split column needs rows of train, and of validation or test", ("data", "columns"))
    absent = sorted(set(range(len(whole.classes))) - set(parts["train"].labels.tolist()))
    if absent:
        named = ", ".join(whole.classes[n] for n in absent[:_SHOWN])
        raise DataError(f"{file}: no training image is of class {named}", ("data", "columns"))
    if everything.groups is not None:
        _check_groups(rows, file)
    val = parts["val"] if len(parts["val"].labels) else parts["test"]
    test = parts["test"] if len(parts["test"].labels) else parts["val"]
    return replace(whole, train=parts["train"], val=val, test=test, whole=False)


def _check_groups(rows: Sequence[_Row], file: Path) -> None:
    parts: dict[str, set[str]] = {}
    for row in rows:
        parts.setdefault(row.group, set()).add(row.part)
    torn = sorted(group for group, of in parts.items() if len(of) > 1)
    if torn:
        raise DataError(
            f"{file}: {len(torn)} groups are in several parts, so a test would see what was trained on: "
            f"{', '.join(torn[:_SHOWN])}",
            ("data", "columns"),
        )


def _rows(file: Path, columns: Columns) -> Iterator[_Row]:
    wanted = {role: name for role, name in columns.model_dump().items() if name is not None}
    for line, row in _read(file, wanted):
        said = {role: str(row[name] if row[name] is not None else "").strip() for role, name in wanted.items()}
        part = said.get("split", "")
        yield _Row(line, said["path"], said["label"], said.get("group", ""), _PARTS.get(part.lower(), part))


def _read(file: Path, wanted: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    """Yield the number and the cells of each row; a CSV's head is line 1."""
    if file.suffix.lower() in (".parquet", ".pq"):
        yield from _read_parquet(file, wanted)
        return
    with _csv(file) as reader:
        _check_columns(file, wanted, reader.fieldnames or ())
        for row in reader:
            yield reader.line_num, row


@contextmanager
def _csv(file: Path) -> Iterator[csv.DictReader[str]]:
    """Yield the rows of a CSV by its head; what is wrong with the file becomes a DataError."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            dialect = _dialect(opened.read(8192))
            opened.seek(0)
            yield csv.DictReader(opened, dialect=dialect)
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8: {error.reason} at byte {error.start}", ("data", "file")) from None
    except csv.Error as error:
        raise DataError(f"{file} is no CSV: {error}", ("data", "file")) from None


def columns_of(file: Path) -> tuple[str, ...]:
    """Return the names of a list's columns, as its head has them.

    Raises:
        DataError: the file is no list.
    """
    if file.suffix.lower() in (".parquet", ".pq"):
        with _parquet(file) as table:
            return tuple(table.schema_arrow.names)
    with _csv(file) as reader:
        return tuple(reader.fieldnames or ())


def rows_of(file: Path, columns: Sequence[str]) -> Iterator[Mapping[str, object]]:
    """Yield the cells of each row of a list, by column.

    Raises:
        DataError: the file is no list, or lacks a column.
    """
    for _, row in _read(file, {name: name for name in columns}):
        yield row


def _dialect(beginning: str) -> type[csv.Dialect]:
    """Return whether commas, semicolons or tabs separate, as the head shows it."""
    head = beginning.splitlines()[0] if beginning.strip() else ""
    separator = max(",;\t", key=head.count)

    class Found(csv.excel):
        delimiter = separator

    return Found


def _read_parquet(file: Path, wanted: Mapping[str, str]) -> Iterator[tuple[int, Mapping[str, object]]]:
    with _parquet(file) as table:
        _check_columns(file, wanted, table.schema_arrow.names)
        rows = table.read(columns=list(wanted.values())).to_pylist()
    yield from enumerate(rows, start=1)


@contextmanager
def _parquet(file: Path) -> Iterator[ParquetFile]:
    """Yield an opened Parquet file; what is wrong with it becomes a DataError."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise DataError("a Parquet list needs pyarrow: pip install pyarrow", ("data", "file")) from None
    try:
        yield ParquetFile(file)
    except ArrowException as error:
        raise DataError(f"{file} is no Parquet file: {error}", ("data", "file")) from None


def _check_columns(file: Path, wanted: Mapping[str, str], known: Sequence[str]) -> None:
    for role, name in wanted.items():
        if name not in known:
            raise DataError(f"{file} has no column '{name}'; {nearest(name, known)}", ("data", "columns", role))


def _check(rows: Sequence[_Row], file: Path, folder: Path) -> None:
    """Name every row that is no image, by kind."""
    seen: dict[str, int] = {}
    double = []
    for row in rows:
        if row.path and seen.setdefault(row.path, row.line) != row.line:
            double.append(row)
    faults = {
        "without a path": [row for row in rows if not row.path],
        "without a label": [row for row in rows if not row.label],
        f"of a part that is none of {', '.join(dict.fromkeys(_PARTS))}": [
            row for row in rows if row.part not in ("", "train", "val", "test")
        ],
        "whose image is named twice": double,
        "whose image is not there": [row for row in rows if row.path and _bytes(folder / row.path) is None],
    }
    if not rows:
        raise DataError(f"{file} names no image", ("data", "file"))
    said = []
    for why, found in faults.items():
        if found:
            shown = ", ".join(f"line {row.line} ({row.path or row.label})" for row in found[:_SHOWN])
            more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            said.append(f"{file}: {len(found)} rows {why}: {shown}{more}")
    if said:
        raise DataError("\n".join(said), ("data", "file"))


def _bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # a link to itself; a path with a zero byte
        return None
