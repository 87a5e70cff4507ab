"""The table of a list of architectures, in the form of the paper's: what each cell says."""

from __future__ import annotations

import statistics

from dcasearch.analysis.effects import Effect
from dcasearch.analysis.table import Table, TableRow
from dcasearch.analysis.words import in_numbers, verdict
from dcasearch.report.cells import Cells

NOT_TRAINED = "not trained here"


def cells_of(table: Table) -> Cells:
    """Return the rows in the list's order, one column a fact; a table in which no row has a reference compares none."""
    others = [metric.heading for metric in table.others]
    compared = any(row.against for row in table.rows)
    columns = ["", "params", "multiply-adds", table.headline.heading, *others, "seeds"]
    columns += ["difference", "to", "which is"] * compared
    words = (0, *(n for n, column in enumerate(columns) if column in ("to", "which is")))
    rows = tuple(tuple(_cells(table, row, compared=compared)) for row in table.rows)
    return Cells(tuple(columns), rows, words)


def _cells(table: Table, row: TableRow, *, compared: bool) -> list[str]:
    metric = table.headline
    values = list(row.values.get(metric.name, {}).values())
    told = [
        f"{statistics.fmean(by_seed.values()):{other.digits}}" if (by_seed := row.values.get(other.name)) else ""
        for other in table.others
    ]
    seeds = ", ".join(map(str, row.values.get(metric.name, {})))
    cells = [row.row.label, f"{row.params / 1e6:.2f}M", _multiply_adds(row.macs)]
    if not values:
        cells += [row.failure or NOT_TRAINED, *told, ""]
    else:
        margin = "" if row.margin is None else f" ± {row.margin:{metric.digits}}"
        cells += [f"{statistics.fmean(values):{metric.digits}}{margin}", *told, seeds]
    if compared:
        cells += [in_numbers(row.difference), row.against or "", verdict(row.difference, metric)]
    return cells


def _multiply_adds(macs: int) -> str:
    """Return e.g. `4.092G`, or `9.24M` of a small network."""
    return f"{macs / 1e9:.3f}G" if macs >= 1e8 else f"{macs / 1e6:.2f}M"


def epochs_of(table: Table) -> Cells | None:
    """Return after how many epochs each trained row reached its goal; None where no goal is known."""
    metric = table.headline
    rows = [
        (row.row.label, f"{row.reached.goal:{metric.digits}}", str(row.reached))
        for row in table.rows
        if row.reached is not None
    ]
    return Cells(("", f"goal, {metric.heading}", "epochs to it"), tuple(rows), (0, 2)) if rows else None


def sentence_of(effect: Effect, unit: str) -> str:
    """Return an effect in one sentence."""
    return (
        f"{effect.name[0].upper()}{effect.name[1:]}: {in_numbers(effect.difference)} {unit}".rstrip()
        + f", {effect.verdict} ({effect.said}; rows: {', '.join(effect.rows)})."
    )
