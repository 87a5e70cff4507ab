"""`dcasearch ablate`: which parts of a chosen network are worth what they cost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from dcasearch.cli.arguments import Exported, Storage
from dcasearch.cli.console import make_console
from dcasearch.config.document import load_plain_yaml
from dcasearch.errors import UserError, nearest
from dcasearch.files import write_whole

if TYPE_CHECKING:
    from rich.console import Console

    from dcasearch.ablation import Plan, Protocol, Toggle
    from dcasearch.analysis.forecast import Forecast
    from dcasearch.export import Spec

_HERE = ("executor", "storage", "artifacts", "stop", "throughput", "disk", "keep_weights")
"""Keys of the study's YAML that a user may change: they do not say what is trained."""
_BUDGET = typer.Option(min=0.0, help="Hours to spend: fewer seeds are trained, three at least.")
_WEIGHTS = typer.Option(help="Trained weights that the chosen network began with, if it did.")


def ablate(
    spec: Exported,
    data: Annotated[str | None, typer.Option(help="Folder of the data; digits needs none.")] = None,
    toggle: Annotated[
        list[str] | None, typer.Option(help="A kind of part to toggle, again for each; by default all of those above.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=3, help="Trainings of each network, with fresh seeds.")] = 5,
    margin: Annotated[
        float, typer.Option(min=1e-6, help="How much worse still counts as not worse: points of the headline metric.")
    ] = 0.5,
    budget: Annotated[float | None, _BUDGET] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Of each training; else as many as the spec's.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Trainings at a time.")] = 1,
    executor: Annotated[str, typer.Option(help="Where networks are trained: local or ray.")] = "local",
    out: Annotated[
        Path | None, typer.Option(help="The study to write; else NAME_ablation.yaml in this folder.")
    ] = None,
    only_plan: Annotated[bool, typer.Option("--plan", help="Print the cost and end; nothing is written.")] = False,
    weights: Annotated[str | None, _WEIGHTS] = None,
    storage: Storage = None,
) -> None:
    """Train a chosen network without each of its parts, and say which parts it needs.

    Parts: connections (each one), dimensions, attention, function, channel_matching, spatial_matching, topology, alpha.
    The cost is printed first. The same command goes on after an interruption, and prints the table again.
    """
    from dcasearch.ablation import Protocol, plan, variants_of
    from dcasearch.ablation.plan import study_name
    from dcasearch.cli.referring import spec_file
    from dcasearch.export.spec import load_spec

    spec = spec_file(spec, storage)
    chosen = load_spec(spec)
    variants = variants_of(chosen.build(), _toggles(toggle))
    console = make_console()
    protocol = Protocol(
        root=None if data is None else str(Path(data).resolve()),
        seeds=seeds,
        epochs=epochs,
        workers=workers,
        weights=weights,
        executor=executor,
        storage=storage,
        hours=budget,
    )
    made = plan(chosen, study_name(spec.stem), variants, protocol)
    made, forecast = _afforded(made, chosen, protocol, storage)
    _print_cost(console, made, forecast, budget)
    if only_plan:
        return
    file = out or Path(f"{made.name}.yaml")
    _write(file, made, spec)
    console.print(f"The study is {file}; `dcasearch status {file}` shows every training.")
    from dcasearch.cli.commands import run

    try:
        run(file, storage=storage)
    finally:
        _print_verdict(console, file, storage, made, chosen.num_classes, margin)


def _toggles(named: list[str] | None) -> tuple[Toggle, ...]:
    from dcasearch.ablation import TOGGLES

    for name in named or ():
        if name not in TOGGLES:
            raise UserError(f"'{name}' is not a kind of part; {nearest(name, TOGGLES)}")
    return tuple(toggle for toggle in TOGGLES if not named or toggle in named)


def _afforded(made: Plan, chosen: Spec, protocol: Protocol, storage: str | None) -> tuple[Plan, Forecast]:
    """Return a plan with as many seeds as the budget pays for, and what it costs.

    Raises:
        UserError: the budget does not pay for three seeds.
    """
    from dcasearch.ablation import fitted, plan
    from dcasearch.ablation.measured import throughput_of
    from dcasearch.analysis.paired import ENOUGH
    from dcasearch.store import Store, default_url, exists

    url = storage or default_url()
    if chosen.evaluation is not None and exists(url):
        with Store.open(url) as store:
            protocol = replace(protocol, throughput=throughput_of(store, chosen.evaluation, chosen.macs))
    made = plan(chosen, made.name, made.variants, protocol)
    forecast = _forecast(made, url)
    seconds = _seconds(forecast)
    if protocol.hours is None or seconds is None:
        return made, forecast
    seeds = fitted(seconds / protocol.seeds, protocol.seeds, protocol.hours)
    if seeds < ENOUGH:
        needed, given = (
            timedelta(seconds=round(s)) for s in (seconds / protocol.seeds * ENOUGH, protocol.hours * 3600)
        )
        raise UserError(
            f"{ENOUGH} seeds of {len(made.variants)} networks take about {needed}, and the budget is {given}: toggle "
            "fewer parts (--toggle), train fewer epochs (--epochs), or give more"
        )
    if seeds < protocol.seeds:
        made = plan(chosen, made.name, made.variants, replace(protocol, seeds=seeds))
        forecast = _forecast(made, url)
    return made, forecast


def _forecast(made: Plan, url: str) -> Forecast:
    """Return what a plan costs, as `check` computes it."""
    from dcasearch.analysis.data import described
    from dcasearch.analysis.forecast import forecast
    from dcasearch.space import load_study
    from dcasearch.store import Store, exists

    with TemporaryDirectory() as folder:
        file = Path(folder) / "study.yaml"
        file.write_text(_text(made.study))
        loaded = load_study(file)
    store = Store.open(url) if exists(url) else None
    return forecast(loaded.study, loaded.space, described(loaded), store)


def _seconds(forecast: Forecast) -> float | None:
    """Return the time of all phases; None where nothing says how fast the device is."""
    known = [phase.seconds for phase in forecast.phases if phase.seconds is not None]
    return sum(known) if len(known) == len(forecast.phases) else None


def _print_cost(console: Console, made: Plan, forecast: Forecast, budget: float | None) -> None:
    """Print what an ablation costs, before it begins."""
    seeds = len(made.study["fidelities"][-1]["seeds"])
    macs = sum(phase.macs for phase in forecast.phases)
    seconds = _seconds(forecast)
    time = "time not known" if seconds is None else f"about {timedelta(seconds=round(seconds))}"
    console.print(
        f"Ablation of {made.variants[0].architecture.id}: {len(made.variants)} networks, {seeds} seeds each, "
        f"{made.trainings} trainings, {macs:.2g} multiply-adds, {time} ({forecast.basis})"
    )
    if budget is not None and seconds is None:
        console.print(f"The run ends after {budget:g} hours; the same command goes on.")


def _write(file: Path, made: Plan, spec: Path) -> None:
    """Write the study; one that is there already may get more seeds, and keeps where and how it is run.

    Raises:
        UserError: the file holds another plan.
    """
    study = yaml.safe_load(_text(made.study))
    if file.exists():
        held = load_plain_yaml(file)
        if _meaning(held) != _meaning(study):
            raise UserError(
                f"{file} holds another plan than this command would write; give another --out, or delete it"
            )
        if len(_seeds(held)) >= len(_seeds(study)):
            return
        study |= {key: held[key] for key in _HERE if key in held}
    head = f"# The parts of {spec.name}, each toggled: written by `dcasearch ablate`, which prints the verdict.\n"
    write_whole(file, (head + _text(study)).encode())


def _seeds(study: dict[str, Any]) -> list[int]:
    return list(study["fidelities"][0]["seeds"])


def _meaning(study: dict[str, Any]) -> dict[str, Any]:
    """Return what a study trains, without its seeds, and without where and how."""
    levels = [{**level, "seeds": level["seeds"][:1]} for level in study.get("fidelities", ())]
    return {key: value for key, value in study.items() if key not in _HERE} | {"fidelities": levels}


def _text(study: dict[str, Any]) -> str:
    return yaml.safe_dump(study, sort_keys=False, allow_unicode=True, width=110)


def _print_verdict(console: Console, file: Path, storage: str | None, made: Plan, classes: int, margin: float) -> None:
    """Print the table of all networks, and what follows from it."""
    from dcasearch.ablation.measured import verdict_of
    from dcasearch.ablation.words import COLUMNS, conclusion, row_of
    from dcasearch.cli.storage import placed
    from dcasearch.cli.tables import make_table
    from dcasearch.space import load_study
    from dcasearch.store import Store, exists, storage_of

    study = placed(load_study(file)).study
    url = storage or storage_of(study)
    if not exists(url):
        return
    with Store.open(url) as store:
        verdict = verdict_of(study, store, made.variants, classes, margin)
    table = make_table(*COLUMNS)
    for row in verdict.rows:
        table.add_row(*row_of(row, verdict.chosen), style="bold" if row is verdict.smallest else None)
    console.print("\nWhat each part is worth", style="bold")
    console.print(table)
    for sentence in conclusion(verdict):
        console.print(sentence)
