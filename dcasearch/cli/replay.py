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
    from dcasearch.replay.predictors import Predictor
    from dcasearch.replay.searchers import Searcher
    from dcasearch.replay.table import Table


def replay(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE|STUDY",
            help="A table of trainings (JSON lines), or a study (YAML) that trained all of its space.",
            show_default=False,
        ),
    ],
    storage: Annotated[str | None, typer.Option(help="Of a study: its database, in place of the one it names.")] = None,
    replays: Annotated[int, typer.Option(min=1, help="Searches by each searcher, with the seeds 0, 1, …")] = 20,
    aim: Annotated[float, typer.Option(min=0, help="Mean scaled regret whose cost is told.")] = 0.1,
    processes: Annotated[int | None, typer.Option(min=1, help="Searches at a time; else one a core.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Also draw it: a .svg or .png.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Replay searches on finished trainings: what ranks them rightly, what each search finds, at what cost.

    Trains nothing. A study's database must hold every architecture of its space at every fidelity.
    """
    import optuna

    from dcasearch.data.preparing import cores
    from dcasearch.replay.comparison import compare
    from dcasearch.replay.predictors import predictors

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    console = make_console(stderr=as_json)
    table, searchers = _opened(source, storage)
    known = predictors(table)
    found = compare(
        table,
        searchers,
        replays,
        lambda name: console.print(f"replaying {name}"),
        processes or cores(),
        aim,
    )
    if as_json:
        print(json.dumps({"predictors": [asdict(predictor) for predictor in known], **asdict(found)}))
    else:
        _print_predictors(console, known)
        _print(console, found)
    if figure is not None:
        from dcasearch.replay.figure import draw

        draw(found, figure)
        console.print(f"{figure}")


def _opened(source: Path, storage: str | None) -> tuple[Table, dict[str, Searcher]]:
    """Return the table, and who searches it: on a study's that study first."""
    from dcasearch.replay.searchers import as_written, fitting
    from dcasearch.replay.table import read_table

    if source.suffix not in (".yaml", ".yml"):
        table = read_table(source)
        return table, fitting(table)
    from dcasearch.cli.storage import telling
    from dcasearch.replay.recorded import table_of
    from dcasearch.space import load_study
    from dcasearch.store import Store, storage_of

    loaded = load_study(source)
    with telling(loaded, storage):
        store = Store.open(storage or storage_of(loaded.study))
    with store:
        table = table_of(loaded, store)
    return table, {"this study": as_written, **fitting(table)}


def _print_predictors(console: Console, known: tuple[Predictor, ...]) -> None:
    from dcasearch.cli.tables import make_table

    shown = make_table("predictor of the truth", "cost of all", "Kendall τ (95%)", "Spearman ρ (95%)")
    for predictor in known:
        c = predictor.correlation
        cells = ("not estimable", "") if c is None else (_cell(c.tau, c.tau_interval), _cell(c.rho, c.rho_interval))
        shown.add_row(predictor.name, f"{predictor.cost:.3f}" if predictor.cost else "nothing", *cells)
    console.print(shown)


def _cell(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def _print(console: Console, found: Comparison) -> None:
    from dcasearch.cli.tables import make_table

    known = "not known with one seed" if found.reliability is None else f"{found.reliability:.2f}"
    console.print(
        f"table {found.table}: {found.members} architectures, truth of {found.truth_seeds} seeds, reliability {known}; "
        f"training all of them once: {found.every:.0f} s"
    )
    shown = make_table("searcher", "regret at its end", "seconds", f"seconds to a mean regret of {found.aim:g}")
    for r in found.results:
        shown.add_row(
            r.name, f"{r.regret:.2f}", f"{r.seconds:.0f}", "not reached" if r.to_aim is None else f"{r.to_aim:.0f}"
        )
    console.print(shown)
    for ratio in found.ratios:
        value = "not estimable" if ratio.value is None else f"{ratio.value:.2f}"
        bounds = "" if ratio.interval is None else f" (95%: {ratio.interval[0]:.2f} to {ratio.interval[1]:.2f})"
        console.print(f"{found.results[0].name}, cost to {found.aim:g} / {ratio.against}: {value}{bounds}")
