"""Tables of the command line: a forecast, a standing. They print what they are given and compute nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from dcasearch.analysis import races
from dcasearch.analysis.expected import Expected
from dcasearch.analysis.power import Power
from dcasearch.analysis.trust import Trust
from dcasearch.analysis.words import HOW_TO_ESTIMATE
from dcasearch.analysis.words import cells as cells_of_power
from dcasearch.cli.tables import make_table, with_unit
from dcasearch.space import LoadedStudy
from dcasearch.wording import counted

if TYPE_CHECKING:  # torch and ray are imported by those who use them
    from dcasearch.analysis.forecast import Forecast, Range
    from dcasearch.data import DataInfo
    from dcasearch.executors.ray import Preflight
    from dcasearch.export import Check

_MOST_CLASSES, _ENDS = 12, 5
"""So many classes are all shown; of more only so many of the worst and of the best."""

_CLASSES = 10
"""Names of classes that are printed."""


def print_forecast(console: Console, forecast: Forecast) -> None:
    """Print what a study will cost."""
    console.print(f"Space: {forecast.written:,} points as written; {forecast.distinct}")
    sampled = f"{forecast.costed:,} architectures" + ("" if forecast.distinct.exact else ", drawn at random")
    console.print(f"Cost of one network ({sampled}), at the last fidelity's resolution:")
    table = make_table("", "min", "median", "max")
    for name, values in (("parameters", forecast.params), ("multiply-adds", forecast.macs)):
        table.add_row(name, *_range(values))
    console.print(table)
    for metric, share in forecast.infeasible.items():
        console.print(f"Constraint on {metric}: {share:.0%} of them are infeasible and will not be trained")
    table = make_table("", "trainings", "multiply-adds", "time")
    for phase in forecast.phases:
        least = "" if phase.least is None else f"{phase.least:,} to "
        table.add_row(
            phase.name, f"{least}{phase.trainings:,}", with_unit(phase.macs), _between(phase.seconds, forecast.spread)
        )
    console.print("Work, if nothing is pruned (baselines included):")
    console.print(table)
    for race in forecast.races:
        console.print(races.foreseen(race))
    console.print(f"Time is computed from: {forecast.basis}.")
    console.print(f"Disk: up to {forecast.disk_bytes / 1e9:.2f} GB of weights and checkpoints.")
    for problem in (forecast.disk_problem, forecast.shared_memory_problem):
        if problem is not None:
            console.print(f"warning: {problem}", style="yellow")
    if not forecast.data_found:
        console.print(
            f"The data was not found: {forecast.classes:,} classes and {forecast.images:,} images are assumed."
        )


def print_data(console: Console, loaded: LoadedStudy, data: DataInfo) -> None:
    """Print what a study's data is, and what would make it faster."""
    from dcasearch.analysis.data import advice, sharper

    study = loaded.study
    some = "" if study.data.classes is None else ", some of its classes"
    prepared = "" if data.prepared is None else f", prepared at {data.prepared} pixels"
    console.print(
        f"Data: {study.data.name}{some}{prepared}: {data.classes:,} classes, {data.train_images:,} images to train on, "
        f"{data.validation_images:,} to compare on, {data.test_images:,} for the test; fingerprint {data.fingerprint}"
    )
    if data.source is not None:
        names = data.source.class_names
        more = f" and {len(names) - _CLASSES:,} more" if len(names) > _CLASSES else ""
        console.print(f"Classes: {', '.join(names[:_CLASSES])}{more}")
    for note in data.notes:
        console.print(f"note: {note}")
    for hint in (advice(loaded, data), sharper(study, data)):
        if hint is not None:
            console.print(f"hint: {hint}")


def print_powers(console: Console, powers: Sequence[Power]) -> None:
    """Print what can be told apart: in the headline metric, and in the loss where its noise is known."""
    if not powers:
        return
    table = make_table("", "images", "seeds", "noise band", "at least", "found from", "noise from")
    for power in powers:
        for row in (cells_of_power(power), cells_of_power(power, of_loss=True)):
            if row["metric"] == power.metric or row["known"]:
                table.add_row(*(row[name] for name in ("name", "images", "seeds", "noise")), *_rest(row))
    console.print(
        "\nWhat can be told apart: two networks as accurate as those so far, equal seeds, 95%; found: in 80%",
        style="bold",
    )
    console.print(table)
    if any(power.headline.true is None for power in powers):
        console.print(HOW_TO_ESTIMATE, style="dim")


def _rest(row: Mapping[str, str]) -> tuple[str, str, str]:
    return row["observed"], row["true"], row["noise_from"]


def print_expected(console: Console, found: Sequence[Expected]) -> None:
    """Print how sharply each proxy will be known."""
    for entry in found:
        of = f"{counted(entry.networks, 'promoted network')}, {entry.drawn} at random"
        told = f"below ten: not estimable ({of})"
        if entry.tau is not None and entry.rho is not None:
            told = f"a τ of 0.5 would be known as {_range_of(entry.tau)}, a ρ of 0.5 as {_range_of(entry.rho)} ({of})"
        console.print(f"Trust in {entry.fidelity} against {entry.against}: {told}")


def _range_of(interval: tuple[float, float]) -> str:
    return f"[{interval[0]:+.2f}, {interval[1]:+.2f}]"


def print_trust(console: Console, found: Sequence[Trust]) -> None:
    """Print how well each proxy, rung and cheap stand-in has predicted what it stands for."""
    if not found:
        return
    table = make_table("predictor", "against", "architectures", "at random", "Kendall τ", "Spearman ρ")
    for trust in found:
        told = ("not estimable", "")
        if trust.correlation is not None:
            c = trust.correlation
            told = (_within(c.tau, c.tau_interval), _within(c.rho, c.rho_interval))
        table.add_row(f"{trust.fidelity} {trust.predictor}", trust.against, str(trust.n), str(trust.drawn), *told)
    console.print("\nHow well ranks were predicted (95% intervals; positive is right)", style="bold")
    console.print(table)


def _within(value: float, interval: tuple[float, float]) -> str:
    return f"{value:+.2f} [{interval[0]:+.2f}, {interval[1]:+.2f}]"


def print_checks(console: Console, checks: Iterable[Check]) -> None:
    """Print what `verify` compared."""
    table = make_table("check", "state", "expected", "got")
    words = {True: Text("equal", "green"), False: Text("DIFFERS", "red"), None: Text("not checked", "yellow")}
    for check in checks:
        table.add_row(check.name, words[check.ok], str(check.expected), str(check.got))
    console.print(table)


def _range(values: Range) -> Iterable[str]:
    return map(with_unit, (values.low, values.median, values.high))


_UNITS = ((2 * 86_400, 86_400, "days"), (2 * 3_600, 3_600, "hours"), (120, 60, "minutes"), (0, 1, "seconds"))
"""From so many seconds on, a time is told in units of so many seconds."""


def _between(seconds: float | None, spread: float) -> str:
    """Return a time as a range, rounded to two digits, so that a little more or less reads as the same."""
    if seconds is None:
        return "unknown"
    _, unit, name = next(unit for unit in _UNITS if seconds >= unit[0])
    low, high = (float(f"{value / unit:.2g}") for value in (seconds / spread, seconds * spread))
    return f"{low:g} to {high:g} {name}"


def print_preflight(console: Console, found: Preflight) -> None:
    """Print what each node of a cluster has."""
    table = make_table("node", "resources", "device", "data", "version", "scratch", "artifacts")
    for column in table.columns:
        column.justify, column.overflow = "left", "fold"
    for report in found.nodes:
        cells = (report.resources, report.device, report.data, report.version, report.scratch, report.artifacts)
        table.add_row(report.node, *cells)
    console.print(table)
    if not found.problems:
        console.print(f"{len(found.nodes)} nodes, all ready")
