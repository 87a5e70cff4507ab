"""`dcasearch replay`: what is parsed and printed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.console import make_console

if TYPE_CHECKING:
    from rich.console import Console

    from dcasearch.replay.comparison import Comparison


def replay(
    table: Annotated[Path, typer.Argument(help="A table of trainings (JSON lines).", show_default=False)],
    replays: Annotated[int, typer.Option(min=1, help="Searches by each searcher, with the seeds 0, 1, …")] = 20,
    figure: Annotated[Path | None, typer.Option(help="Also draw it: a .svg or .png.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Replay searches on a table of finished trainings: what each finds, at what cost. Trains nothing."""
    import optuna

    from dcasearch.replay.comparison import compare
    from dcasearch.replay.searchers import SEARCHERS
    from dcasearch.replay.table import read_table

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = make_console(stderr=as_json)
    found = compare(read_table(table), SEARCHERS, replays, lambda name: console.print(f"replaying {name}"))
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        _print(console, found)
    if figure is not None:
        from dcasearch.replay.figure import draw

        draw(found, figure)
        console.print(f"{figure}")


def _print(console: Console, found: Comparison) -> None:
    from dcasearch.cli.printing import make_table

    known = "not known with one seed" if found.reliability is None else f"{found.reliability:.2f}"
    console.print(
        f"table {found.table}: {found.members} architectures, truth of {found.truth_seeds} seeds, reliability {known}; "
        f"training all of them once: {found.every:.0f} s"
    )
    shown = make_table("searcher", "regret at its end", "seconds", "seconds to a mean regret of 0.1")
    for r in found.results:
        shown.add_row(
            r.name, f"{r.regret:.2f}", f"{r.seconds:.0f}", "not reached" if r.to_aim is None else f"{r.to_aim:.0f}"
        )
    console.print(shown)
    for ratio in found.ratios:
        value = "not estimable" if ratio.value is None else f"{ratio.value:.2f}"
        bounds = "" if ratio.interval is None else f" (95%: {ratio.interval[0]:.2f} to {ratio.interval[1]:.2f})"
        console.print(f"{found.results[0].name}, cost to 0.1 / {ratio.against}: {value}{bounds}")
