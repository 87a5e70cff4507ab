"""`dcasearch trials`: the trials of a study, chosen and sorted."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.arguments import AsJson, Storage, StudyName
from dcasearch.cli.console import make_console

if TYPE_CHECKING:
    from dcasearch.analysis.trials import Cell, TrialTable


def trials(
    study: StudyName,
    fidelity: Annotated[str | None, typer.Option(help="Trials of one fidelity alone.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(help="A condition, e.g. state=complete, params<1.5M, network~dense; all given must hold."),
    ] = None,
    sort: Annotated[str | None, typer.Option(help="A column to sort by; -top1: the largest first.")] = None,
    storage: Storage = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every column as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """List a study's trials: what each network is in words, its state, values and costs."""
    from dcasearch.analysis.trials import trials_of
    from dcasearch.cli.storage import open_study

    console = make_console(stderr=as_json or as_csv)
    name, store = open_study(study, storage, console)
    table = trials_of(store, name, fidelity).where(where or ())
    if sort is not None:
        table = table.sorted_by(sort)
    if as_json:
        print(json.dumps([dict(row) for row in table.rows], indent=1))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, table.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.rows)
    else:
        _print(table)
        console.print(f"{len(table.rows)} trials; every column: --csv or --json", style="dim")


def _print(table: TrialTable) -> None:
    """Print the columns that a person looks at first."""
    from dcasearch.cli.tables import print_long
    from dcasearch.metrics import METRICS, SCORE

    looked_at = ("fidelity", "trial", "state", "network", "epochs", "seed", "failure", table.headline, SCORE.name)
    named = [
        column
        for column in table.columns
        if column in looked_at or (column in METRICS and (METRICS[column].beside_headline or METRICS[column].is_cost))
    ]
    shown = [column for column in named if any(row[column] is not None for row in table.rows)]
    if not table.rows:
        return
    heads = [METRICS[column].heading if column in METRICS else column for column in shown]
    print_long(make_console(), heads, [[_cell(column, row[column]) for column in shown] for row in table.rows])


def _cell(column: str, value: Cell) -> str:
    from dcasearch.metrics import METRICS

    if value is None:
        return ""
    if column in METRICS and isinstance(value, int | float):
        metric = METRICS[column]
        return f"{value:,}" if metric.is_cost else f"{value:{metric.digits}}"
    return str(value)
