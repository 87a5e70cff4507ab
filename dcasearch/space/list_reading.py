"""From plain data to a list of labelled architectures; every mistake with where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dcasearch.architecture import Architecture
from dcasearch.config import Key, KeyPath, Report, read_architecture
from dcasearch.errors import nearest
from dcasearch.space.listed_space import ListedSpace, Row

LIST = "architectures"
"""The key that makes a space a list."""
LABEL, AGAINST = "label", "against"


def row_keys() -> tuple[str, ...]:
    """Return the keys of a row: its own two, and those of an architecture."""
    return (LABEL, AGAINST, *Architecture.model_fields)


def read_list(written: Mapping[str, Any], report: Report) -> ListedSpace:
    """Return the list that plain data writes out; rows with mistakes are reported and left out."""
    for key in written:
        if key != LIST:
            report((Key(key),), f"'{key}' cannot stand beside `{LIST}`; write it in each row")
    entries = written[LIST]
    if not isinstance(entries, list):
        report((LIST,), f"must be a list of architectures, each with a `{LABEL}`; got {entries!r}")
        entries = []
    elif len(entries) < 2:
        report((LIST,), "needs at least two rows: one alone compares nothing (`dcasearch train` trains one network)")
    read = [(n, _row(entry, (LIST, n), report)) for n, entry in enumerate(entries)]
    rows = {n: row for n, row in read if row is not None}
    space = ListedSpace(tuple(rows.values()))
    _check_different(rows, report)
    _check_against(rows, entries, report)
    return space


def _row(entry: Any, path: KeyPath, report: Report) -> Row | None:
    if not isinstance(entry, Mapping):
        report(path, f"must be a mapping with `{LABEL}` and the parts of an architecture; got {entry!r}")
        return None
    known = row_keys()
    for key in entry:
        if key not in known:
            report((*path, Key(key)), f"'{key}' is not a key of a row; {nearest(key, known)}")
    label = _text(entry, LABEL, path, report)
    if LABEL not in entry:
        report(path, f"needs a `{LABEL}`: the word for this network in tables and figures")
    parts = {key: value for key, value in entry.items() if key in Architecture.model_fields}
    architecture = read_architecture(parts, lambda p, message: report((*path, *p), message))
    if label is None or architecture is None:
        return None
    against = _text(entry, AGAINST, path, report)
    return Row(label=label, architecture=architecture, written=parts, against=against)


def _text(entry: Mapping[str, Any], key: str, path: KeyPath, report: Report) -> str | None:
    """Return the words under a key, None where there are none or no right ones."""
    said = entry.get(key)
    if key not in entry:
        return None
    if not isinstance(said, str) or not said.strip() or said != said.strip() or not said.isprintable():
        report((*path, key), f"must be one line of text, in quotes if it is a number; got {said!r}")
        return None
    return said


def _check_different(rows: Mapping[int, Row], report: Report) -> None:
    """Report a label that stands twice, and two labels for one network."""
    labels: set[str] = set()
    networks: dict[str, str] = {}
    for n, row in rows.items():
        if row.label in labels:
            report((LIST, n, LABEL), f"'{row.label}' stands twice; a label names one row")
        other = networks.setdefault(row.architecture.id, row.label)
        if other != row.label:
            report((LIST, n), f"'{row.label}' is the same network as '{other}' (id {row.architecture.id})")
        labels.add(row.label)


def _check_against(rows: Mapping[int, Row], entries: list[Any], report: Report) -> None:
    """Report a comparison with a row that does not exist, or with itself."""
    labels = [entry.get(LABEL) for entry in entries if isinstance(entry, Mapping)]
    for n, row in rows.items():
        if row.against == row.label:
            report((LIST, n, AGAINST), "is the row itself")
        elif row.against is not None and row.against not in labels:
            message = f"'{row.against}' is not a row; {nearest(row.against, [str(label) for label in labels])}"
            report((LIST, n, AGAINST), message)
