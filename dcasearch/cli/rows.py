"""The table of a list of architectures, for a terminal and for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table as Shown

from dcasearch.analysis.table import Table
from dcasearch.analysis.words import how_to_read, verdict
from dcasearch.cli.tables import make_table
from dcasearch.report.cells import Cells
from dcasearch.report.rows import cells_of, epochs_of, sentence_of


def print_table(console: Console, table: Table) -> None:
    """Print the rows of a list as `report` shows them."""
    console.print(_shown(cells_of(table)))
    for effect in table.effects:
        console.print(sentence_of(effect, table.headline.unit_of_differences))
    console.print(how_to_read(table.headline), style="dim")
    if (epochs := epochs_of(table)) is not None:
        console.print(_shown(epochs))


def _shown(cells: Cells) -> Shown:
    shown = make_table(*cells.columns)
    for n in cells.words:
        shown.columns[n].justify = "left"
    for row in cells.rows:
        shown.add_row(*row)
    return shown


def plain_table(table: Table) -> dict[str, Any]:
    """Return the rows of a list and their effects as plain data."""
    rows = [
        {
            "label": row.row.label,
            "role": row.row.role,
            "architecture_id": row.row.architecture.id,
            "params": row.params,
            "macs": row.macs,
            **{name: {str(seed): value for seed, value in by_seed.items()} for name, by_seed in row.values.items()},
            "margin": row.margin,
            "against": row.against,
            "difference": None if row.difference is None else asdict(row.difference),
            "verdict": verdict(row.difference, table.headline),
            "reached": None if row.reached is None else asdict(row.reached),
            "failure": row.failure,
        }
        for row in table.rows
    ]
    effects = [{**asdict(effect), "verdict": effect.verdict} for effect in table.effects]
    return {"fidelity": table.fidelity, "rows": rows, "effects": effects}
