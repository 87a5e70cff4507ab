"""The paper's tables beside what is built, counted and trained here."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dcasearch.architecture import Architecture
from dcasearch.paper.accuracy import Reached
from dcasearch.paper.counts import Counts, count
from dcasearch.paper.rows import PRECISIONS, DetectionRow, DetectionTable, PaperRow, PaperTable

NOT_TRAINED = "not trained here"
_FITTED = (
    "No released code builds this row. Its architecture was fitted to the printed figures, so equal figures are weak "
    "evidence."
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of a table, filled."""

    row: PaperRow
    counts: Counts
    reached: tuple[Reached, ...]
    notes: tuple[int, ...]
    """Numbers of its footnotes, from 1."""

    @property
    def same_params(self) -> bool:
        """Whether ours with the authors' unused ones round to the printed parameters."""
        return f"{self.counts.printed / 1e6:.2f}" == f"{self.row.printed.params:.2f}"

    @property
    def same_gflops(self) -> bool:
        """Whether ours round to the printed GFLOPs."""
        return f"{self.counts.operations / 1e9:.3f}" == f"{self.row.printed.gflops:.3f}"


@dataclass(frozen=True, kw_only=True)
class FilledTable:
    """One of the tables 1 to 6, with ours beside it."""

    number: int
    title: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    """Its footnotes; the first is number 1."""


@dataclass(frozen=True, kw_only=True)
class DetectionLine:
    """One row of table 7, filled."""

    row: DetectionRow
    reached: tuple[Reached, ...]
    notes: tuple[int, ...]
    """Numbers of its footnotes, from 1."""


@dataclass(frozen=True, kw_only=True)
class FilledDetection:
    """Table 7, with ours beside it."""

    number: int
    title: str
    lines: tuple[DetectionLine, ...]
    remarks: tuple[str, ...]
    """Sentences that concern every row."""
    notes: tuple[str, ...]
    """Its footnotes; the first is number 1."""


def fill(
    table: PaperTable,
    reached: Mapping[str, Sequence[Reached]],
    counted: Callable[[Architecture], Counts] | None = None,
) -> FilledTable:
    """Return one of the tables 1 to 6 with ours beside it.

    Args:
        table: as printed.
        reached: by architecture id, see `dcasearch.paper.accuracy.reached`.
        counted: how a network is counted; None: on the network that is built.
    """
    ours = [tuple(reached.get(row.architecture.id, ())) for row in table.rows]
    numbers, notes = _numbered(_notes(row, of_row) for row, of_row in zip(table.rows, ours, strict=True))
    lines = tuple(
        Line(row=row, counts=(counted or _counted)(row.architecture), reached=of_row, notes=of_line)
        for row, of_row, of_line in zip(table.rows, ours, numbers, strict=True)
    )
    return FilledTable(number=table.number, title=table.title, lines=lines, notes=notes)


def fill_detection(table: DetectionTable, detected: Mapping[tuple[str, str], Sequence[Reached]]) -> FilledDetection:
    """Return table 7 with ours beside it.

    Args:
        table: as printed.
        detected: by detector and by the architecture id of its backbone.
    """
    ours = [tuple(detected.get((row.detector, row.architecture.id), ())) for row in table.rows]
    numbers, notes = _numbered(
        [*row.notes, *(one.how for one in of_row)] for row, of_row in zip(table.rows, ours, strict=True)
    )
    lines = tuple(
        DetectionLine(row=row, reached=of_row, notes=of_line)
        for row, of_row, of_line in zip(table.rows, ours, numbers, strict=True)
    )
    return FilledDetection(number=table.number, title=table.title, lines=lines, remarks=table.remarks, notes=notes)


def _numbered(notes: Iterable[Iterable[str]]) -> tuple[list[tuple[int, ...]], tuple[str, ...]]:
    """Return for each row the numbers of its footnotes, and all footnotes; rows with an equal footnote share it."""
    known: dict[str, int] = {}
    numbers = [tuple(sorted(known.setdefault(note, len(known) + 1) for note in of_row)) for of_row in notes]
    return numbers, tuple(known)


def _notes(row: PaperRow, ours: Sequence[Reached]) -> Iterator[str]:
    yield from row.notes
    if row.evidence == "reconstruction":
        yield _FITTED
    yield from (one.how for one in ours)


def _counted(architecture: Architecture) -> Counts:
    """Count each network once; tables repeat some."""
    if architecture.id not in _COUNTS:
        _COUNTS[architecture.id] = count(architecture)
    return _COUNTS[architecture.id]


_COUNTS: dict[str, Counts] = {}


def write_csv(tables: Sequence[FilledTable | FilledDetection], path: Path) -> None:
    """Write filled tables as one CSV file, a line a row; values of ours are means over their seeds.

    The columns are those of the tables that are written. What a table does not have is empty.
    """
    records = [record for table in tables for record in _records(table)]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(column for record in records for column in record)))
        writer.writeheader()
        writer.writerows(records)


def _records(table: FilledTable | FilledDetection) -> list[dict[str, object]]:
    if isinstance(table, FilledTable):
        return [_record(table, line) for line in table.lines]
    return [_detection_record(table, line) for line in table.lines]


def _record(table: FilledTable, line: Line) -> dict[str, object]:
    row, counts = line.row, line.counts
    return {
        **_head(row),
        "paper_params_millions": f"{row.printed.params:.2f}",
        "params": counts.params,
        "unused_params": counts.unused,
        "paper_gflops": f"{row.printed.gflops:.3f}",
        "gflops": f"{counts.operations / 1e9:.6f}",
        "multiply_adds": counts.macs,
        "paper_top1": row.printed.top1,
        "top1": _mean(line.reached, "top1"),
        "paper_top5": row.printed.top5,
        "top5": _mean(line.reached, "top5"),
        "trainings": line.reached[0].seeds if line.reached else 0,
        "evidence": row.evidence,
        "notes": " ".join(table.notes[number - 1] for number in line.notes),
    }


def _detection_record(table: FilledDetection, line: DetectionLine) -> dict[str, object]:
    row = line.row
    values: dict[str, object] = {}
    for metric in PRECISIONS:
        values |= {f"paper_{metric}": row.printed[metric], metric: _mean(line.reached, metric)}
    return {
        **_head(row),
        "detector": row.detector,
        **values,
        "trainings": line.reached[0].seeds if line.reached else 0,
        "notes": " ".join([*table.remarks, *(table.notes[number - 1] for number in line.notes)]),
    }


def _head(row: PaperRow | DetectionRow) -> dict[str, object]:
    return {"table": row.table, "row": row.id, "network": row.name, "architecture_id": row.architecture.id}


def _mean(reached: Sequence[Reached], metric: str) -> float | str:
    """Return the mean of what stands in the table; empty where nothing does."""
    mean = reached[0].mean(metric) if reached else None
    return "" if mean is None else mean
