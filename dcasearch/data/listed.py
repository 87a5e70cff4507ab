"""The data set `imagelist`: a CSV or Parquet file with a row for each image: path, class, perhaps group and part."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dcasearch.config.data_set import Columns
from dcasearch.data.listing import Listing
from dcasearch.data.originals import Originals, dataset_of
from dcasearch.data.parts import ALL, PARTS, part_named
from dcasearch.data.prepared import is_prepared
from dcasearch.data.reading import Reading
from dcasearch.data.sets import DATASETS, DataSet
from dcasearch.errors import DataError, nearest
from dcasearch.evaluation import fingerprint
from dcasearch.wording import counted

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

NAME = "imagelist"
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
    return dataset_of(list_rows(root, file, columns, reading))


def list_rows(root: Path | None, file: Path, columns: Columns, reading: Reading) -> Originals:
    """Return the image files of a list, by part or in one piece; arguments and errors as for `open_list`."""
    if not file.is_file():
        raise DataError(f"data.file: there is no file {file}", ("data", "file"))
    folder = file.parent if root is None else root
    if is_prepared(folder):
        raise DataError(
            f"{folder} is a prepared data set, which has the labels in it; give it as data: "
            f"{{name: imagefolder, root: {folder}}}, without file and columns",
            ("data", "root"),
        )
    rows = list(_rows(file, columns))
    _check(rows, file, folder)
    rows.sort(key=lambda row: (row.label, row.path))
    classes = tuple(sorted({row.label for row in rows}))
    if len(classes) < 2:
        raise DataError(f"{file} names {len(classes)} class; two are needed at least", ("data", "file"))
    sizes = {row.path: _bytes(folder / row.path) or 0 for row in rows}
    listing = _listing(rows, folder, classes, sizes, grouped=columns.group is not None)
    content = [(row.path, row.label, row.group, row.part, sizes[row.path]) for row in rows]
    listings = {ALL: replace(listing, reading=reading)}
    if columns.split is not None:
        listings = _in_parts(listings[ALL], rows, file)
    return Originals(listings, fingerprint(content))


def _listing(
    rows: Sequence[_Row], folder: Path, classes: tuple[str, ...], sizes: Mapping[str, int], *, grouped: bool
) -> Listing:
    """Return all rows as one listing."""
    number = {name: n for n, name in enumerate(classes)}
    group = {name: n for n, name in enumerate(sorted({row.group for row in rows}))}
    return Listing(
        folder,
        classes,
        tuple((row.path, sizes[row.path]) for row in rows),
        tuple(number[row.label] for row in rows),
        groups=tuple(group[row.group] for row in rows) if grouped else None,
    )


def _in_parts(listing: Listing, rows: Sequence[_Row], file: Path) -> dict[str, Listing]:
    """Return the parts that a split column names, those with images."""
    parts = {
        name: _some(listing, [n for n, row in enumerate(rows) if row.part == name]) for name in ("train", "val", "test")
    }
    if not parts["train"].files or not (parts["val"].files or parts["test"].files):
        raise DataError(f"{file}: the split column needs rows of train, and of validation or test", ("data", "columns"))
    absent = sorted(set(range(len(listing.classes))) - set(parts["train"].labels))
    if absent:
        named = ", ".join(listing.classes[n] for n in absent[:_SHOWN])
        raise DataError(f"{file}: no training image is of class {named}", ("data", "columns"))
    if listing.groups is not None:
        _check_groups(rows, file)
    return {name: part for name, part in parts.items() if part.files}


def _some(listing: Listing, chosen: Sequence[int]) -> Listing:
    groups = listing.groups
    return replace(
        listing,
        files=tuple(listing.files[n] for n in chosen),
        labels=tuple(listing.labels[n] for n in chosen),
        groups=None if groups is None else tuple(groups[n] for n in chosen),
    )


def _check_groups(rows: Sequence[_Row], file: Path) -> None:
    parts: dict[str, set[str]] = {}
    for row in rows:
        parts.setdefault(row.group, set()).add(row.part)
    torn = sorted(group for group, of in parts.items() if len(of) > 1)
    if torn:
        raise DataError(
            f"{file}: {counted(torn, 'group is', 'groups are')} in several parts, so a test would see what was trained "
            f"on: {', '.join(torn[:_SHOWN])}",
            ("data", "columns"),
        )


def _rows(file: Path, columns: Columns) -> Iterator[_Row]:
    wanted = {role: name for role, name in columns.model_dump().items() if name is not None}
    for line, row in _read(file, wanted):
        said = {role: str(row[name] if row[name] is not None else "").strip() for role, name in wanted.items()}
        part = said.get("split", "")
        yield _Row(line, said["path"], said["label"], said.get("group", ""), part_named(part) or part)


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
    _refuse_special(file)
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
    _refuse_special(file)
    try:
        yield ParquetFile(file)
    except ArrowException as error:
        raise DataError(f"{file} is no Parquet file: {error}", ("data", "file")) from None


def _refuse_special(file: Path) -> None:
    """Raise DataError for a pipe or a device: one is waited for, the other may never end."""
    if file.exists() and not file.is_file():
        raise DataError(f"{file} is a folder, a pipe or a device, not a list", ("data", "file"))


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
        f"of a part that is none of {', '.join(PARTS)}": [row for row in rows if row.part not in ("", *PARTS.values())],
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
            said.append(f"{file}: {counted(found, 'row')} {why}: {shown}{more}")
    if said:
        raise DataError("\n".join(said), ("data", "file"))


def _bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size if path.is_file() else None
    except (OSError, ValueError):  # a link to itself; a path with a zero byte
        return None
