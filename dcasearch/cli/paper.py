"""`dcasearch paper`: the paper's tables and figures, each from one command."""

from __future__ import annotations

from typing import Annotated

import typer

from dcasearch.cli.console import make_console

paper = typer.Typer(help="The paper's tables and figures, beside what is built and trained here.", no_args_is_help=True)


@paper.callback()
def _paper() -> None:
    """The paper's tables and figures, beside what is built and trained here."""


@paper.command()
def tables(
    table: Annotated[int | None, typer.Option(min=1, max=6, help="One table; else all.")] = None,
) -> None:
    """Print tables 1 to 6."""
    from dcasearch.cli.tables import make_table
    from dcasearch.paper import paper_tables

    console = make_console()
    for one in paper_tables():
        if table in (None, one.number):
            console.print(f"Table {one.number}. {one.title}")
            shown = make_table("network", "parameters (M)", "GFLOPs", "top-1 (%)", "top-5 (%)")
            for row in one.rows:
                printed = row.printed
                figures = f"{printed.params:.2f}", f"{printed.gflops:.3f}", f"{printed.top1:.2f}", f"{printed.top5:.2f}"
                shown.add_row(row.name, *figures)
            console.print(shown)
