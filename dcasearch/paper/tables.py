"""The paper's tables beside what is built, counted and trained here."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dcasearch.architecture import Architecture
from dcasearch.paper.accuracy import Reached
from dcasearch.paper.counts import Counts, count
from dcasearch.paper.rows import PaperRow, PaperTable

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
    """One table of the paper, with ours beside it."""

    number: int
    title: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    """Its footnotes; the first is number 1."""


def fill(
    table: PaperTable,
    reached: Mapping[str, Sequence[Reached]],
    counted: Callable[[Architecture], Counts] | None = None,
) -> FilledTable:
    """Return a table with ours beside it.

    Args:
        table: as printed.
        reached: by architecture id, see `dcasearch.paper.accuracy.reached`.
        counted: how a network is counted; None: on the network that is built.
    """
    notes: dict[str, int] = {}
    lines = []
    for row in table.rows:
        ours = tuple(reached.get(row.architecture.id, ()))
        numbers = tuple(sorted(notes.setdefault(note, len(notes) + 1) for note in _notes(row, ours)))
        counts = (counted or _counted)(row.architecture)
        lines.append(Line(row=row, counts=counts, reached=ours, notes=numbers))
    return FilledTable(number=table.number, title=table.title, lines=tuple(lines), notes=tuple(notes))


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


def write_csv(tables: Sequence[FilledTable], path: Path) -> None:
    """Write filled tables as one CSV file, a line a row; accuracies of ours are means over their seeds."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        writer.writeheader()
        writer.writerows(_record(table, line) for table in tables for line in table.lines)


_COLUMNS = (
    *("table", "row", "network", "architecture_id"),
    *("paper_params_millions", "params", "unused_params", "paper_gflops", "gflops", "multiply_adds"),
    *("paper_top1", "top1", "paper_top5", "top5", "trainings", "evidence", "notes"),
)


def _record(table: FilledTable, line: Line) -> dict[str, object]:
    row, counts, ours = line.row, line.counts, line.reached[0] if line.reached else None
    return {
        "table": table.number,
        "row": row.id,
        "network": row.name,
        "architecture_id": row.architecture.id,
        "paper_params_millions": f"{row.printed.params:.2f}",
        "params": counts.params,
        "unused_params": counts.unused,
        "paper_gflops": f"{row.printed.gflops:.3f}",
        "gflops": f"{counts.operations / 1e9:.6f}",
        "multiply_adds": counts.macs,
        "paper_top1": row.printed.top1,
        "top1": "" if ours is None else statistics.fmean(ours.top1),
        "paper_top5": row.printed.top5,
        "top5": "" if ours is None else statistics.fmean(ours.top5),
        "trainings": 0 if ours is None else len(ours.top1),
        "evidence": row.evidence,
        "notes": " ".join(table.notes[number - 1] for number in line.notes),
    }
