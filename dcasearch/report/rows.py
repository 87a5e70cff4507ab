"""The table of a list of architectures, in the form of the paper's: what each cell says."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from dcasearch.analysis.effects import Effect
from dcasearch.analysis.table import Table, TableRow
from dcasearch.analysis.words import in_numbers, verdict

NOT_TRAINED = "not trained here"


@dataclass(frozen=True)
class Cells:
    """A table as text: what a page and a terminal show."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...]
    """Columns that are no numbers."""


def cells_of(table: Table) -> Cells:
    """Return the rows in the list's order, one column a fact.

    A table in which no row has a reference, or no goal is known, lacks those columns.
    """
    others = [metric.heading for metric in table.others]
    compared = any(row.against for row in table.rows)
    goals = any(row.reached for row in table.rows)
    columns = ["", "params", "multiply-adds", table.headline.heading, *others, "seeds"]
    columns += ["difference", "to", "which is"] * compared + ["goal", "epochs to it"] * goals
    words = [0, *(n for n, column in enumerate(columns) if column in ("to", "which is", "epochs to it"))]
    rows = tuple(tuple(_cells(table, row, compared=compared, goals=goals)) for row in table.rows)
    return Cells(tuple(columns), rows, tuple(words))


def _cells(table: Table, row: TableRow, *, compared: bool, goals: bool) -> list[str]:
    metric = table.headline
    values = list(row.values.get(metric.name, {}).values())
    told = [
        f"{statistics.fmean(by_seed.values()):{other.digits}}" if (by_seed := row.values.get(other.name)) else ""
        for other in table.others
    ]
    seeds = ", ".join(map(str, row.values.get(metric.name, {})))
    cells = [row.row.label, f"{row.params / 1e6:.2f}M", f"{row.macs / 1e9:.3f}G"]
    if not values:
        cells += [row.failure or NOT_TRAINED, *told, ""]
    else:
        margin = "" if row.margin is None else f" ± {row.margin:{metric.digits}}"
        cells += [f"{statistics.fmean(values):{metric.digits}}{margin}", *told, seeds]
    if compared:
        cells += [in_numbers(row.difference), row.against or "", verdict(row.difference, metric)]
    if goals:
        reached = row.reached
        cells += ["", ""] if reached is None else [f"{reached.goal:{metric.digits}}", str(reached)]
    return cells


def sentence_of(effect: Effect, unit: str) -> str:
    """Return an effect in one sentence."""
    return (
        f"{effect.name[0].upper()}{effect.name[1:]}: {in_numbers(effect.difference)} {unit}".rstrip()
        + f", {effect.verdict} ({effect.said}; rows: {', '.join(effect.rows)})."
    )
