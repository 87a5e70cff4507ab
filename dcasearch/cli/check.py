"""`dcasearch check`: every mistake, then the forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dcasearch.cli.arguments import Storage, StudyFile
from dcasearch.cli.console import make_console
from dcasearch.errors import DataError, UserError

if TYPE_CHECKING:  # imported by those who use them, so that `--help` is instant
    from collections.abc import Sequence

    from rich.console import Console

    from dcasearch.analysis.forecast import Forecast
    from dcasearch.analysis.starts import Checked
    from dcasearch.config.study import Study
    from dcasearch.data import DataInfo
    from dcasearch.executors.ray import Preflight
    from dcasearch.space import LoadedStudy


def check(
    study: StudyFile,
    storage: Storage = None,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Also run one small assignment on every node of the study's Ray cluster.")
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(help="Model of the GPU that trials will run on, as `gpu-check` names it; else this machine's."),
    ] = None,
    no_data: Annotated[
        bool, typer.Option("--no-data", help="Do not look at the data: forecast with ImageNet's size and classes.")
    ] = False,
) -> None:
    """Find every mistake in a study's YAML, then say what the study will cost. Trains nothing, writes nothing.

    Data that is not there is a mistake too; --no-data forecasts on paper, e.g. on a laptop for a cluster.
    """
    from dcasearch.space import load_study

    loaded = load_study(study)  # before torch is imported, so that a mistake is told at once
    from dcasearch.cli.storage import placed, telling

    with telling(loaded, storage):
        loaded = placed(loaded)
    from dcasearch.analysis.data import as_begun
    from dcasearch.analysis.forecast import forecast
    from dcasearch.analysis.measured import expected_of, powers_of
    from dcasearch.analysis.starts import check_starts
    from dcasearch.cli.printing import print_expected, print_forecast, print_powers, print_preflight
    from dcasearch.store import Store, exists, must_have_a_place, storage_of

    console = make_console()
    store = None
    if not loaded.missing_variables:
        with telling(loaded, storage):
            must_have_a_place(url := storage or storage_of(loaded.study))
            store = Store.open(url) if exists(url) else None
    loaded = as_begun(loaded, store)
    data = None if no_data else _seen(loaded)
    starts = check_starts(loaded, data)
    ready = _ready(console, loaded.study, None if store is None else store.secret) if cluster else None
    room = None if ready is None else ready.room
    foreseen = forecast(loaded.study, loaded.space, data, store, device, room)
    if foreseen.mistakes:
        raise UserError("\n".join(f"{study}: {mistake}" for mistake in foreseen.mistakes))
    unseen = ", but for the data, which was not looked at" if data is None else ""
    console.print(f"{study}: no mistakes found{unseen}")
    _print_seen(console, loaded, data, foreseen, starts)
    if store is not None:
        console.print(f"database {store.url}")
    print_forecast(console, foreseen)
    print_powers(console, tuple(powers_of(loaded.study, store, data, loaded.space).values()))
    print_expected(console, expected_of(loaded.study))
    if ready is not None:
        print_preflight(console, ready)


def _print_seen(
    console: Console, loaded: LoadedStudy, data: DataInfo | None, foreseen: Forecast, starts: Sequence[Checked]
) -> None:
    """Print what is worth knowing of a study without a mistake: what is missing here, its data, its starts."""
    from dcasearch.analysis.data import dangers
    from dcasearch.cli.printing import print_data

    for variable in sorted(loaded.missing_variables):
        console.print(f"warning: {variable} is not set; `run` needs it", style="yellow")
    for sentence in (*loaded.notes, *foreseen.short):
        console.print(f"warning: {sentence}", style="yellow")
    if data is not None:
        print_data(console, loaded, data)
        for danger in dangers(loaded.study, data):
            console.print(f"warning: {danger}", style="yellow")
    for start in starts:
        for line in start.lines:
            style = "yellow" if start.missing else None
            console.print(f"{'warning' if start.missing else 'start'}: {line}", style=style, highlight=False)


def _seen(loaded: LoadedStudy) -> DataInfo:
    """Return what a study's data is; what it lacks is a mistake as any other."""
    from dcasearch.analysis.data import described, split_fingerprints

    hint = f"`dcasearch check {loaded.path} --no-data` looks at the rest, and forecasts on paper"
    if loaded.missing_variables:
        raise UserError(f"{loaded.path}: not set: {', '.join(sorted(loaded.missing_variables))}\n{hint}")
    try:
        data = described(loaded)
        split_fingerprints(loaded.study, data)  # a further split may lack images
        return data
    except DataError as error:
        raise DataError(f"{error}\n{hint}") from None


def _ready(console: Console, study: Study, secret: str | None) -> Preflight:
    """Return what the cluster has; where the study cannot run on it, its nodes are shown and that is the error."""
    from dcasearch.cli.printing import print_preflight
    from dcasearch.executors.ray import connected, preflight

    with connected(study.executor.address, secret):
        found = preflight(study)
    if found.problems:
        print_preflight(console, found)
        raise UserError("\n".join(found.problems))
    return found
