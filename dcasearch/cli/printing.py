"""Tables of the command line: a forecast, a standing. They print what they are given and compute nothing."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dcasearch.analysis import races
from dcasearch.analysis.classes import class_table_of
from dcasearch.analysis.power import Expected, Power
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing, others_of
from dcasearch.analysis.trials import why
from dcasearch.analysis.trust import Trust
from dcasearch.analysis.words import HOW_TO_ESTIMATE, LEADS, counts, in_numbers, too_small
from dcasearch.analysis.words import cells as cells_of_power
from dcasearch.cli.networks import print_networks
from dcasearch.cli.rows import plain_table, print_table
from dcasearch.cli.tables import make_table, print_long
from dcasearch.config.study import Study
from dcasearch.metrics import METRICS, SCORE
from dcasearch.search.racing import RaceStanding
from dcasearch.store import Driver
from dcasearch.trial import State

if TYPE_CHECKING:  # torch and ray are imported by those who use them
    from dcasearch.analysis.forecast import Forecast, Range
    from dcasearch.data import DataInfo
    from dcasearch.executors.ray import Preflight
    from dcasearch.export import Check

_MOST_CLASSES, _ENDS = 12, 5
"""So many classes are all shown; of more only so many of the worst and of the best."""


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
        table.add_row(phase.name, f"{least}{phase.trainings:,}", _short(phase.macs), _time(phase.seconds))
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


def print_data(console: Console, study: Study, data: DataInfo) -> None:
    """Print what a study's data is, and what would make it faster."""
    from dcasearch.analysis.data import advice

    some = "" if study.data.classes is None else ", some of its classes"
    prepared = "" if data.prepared is None else f", prepared at {data.prepared} pixels"
    console.print(
        f"Data: {study.data.name}{some}{prepared}: {data.classes:,} classes, {data.train_images:,} images to train on, "
        f"{data.validation_images:,} to compare on, {data.test_images:,} for the test; fingerprint {data.fingerprint}"
    )
    for note in data.notes:
        console.print(f"note: {note}")
    if (hint := advice(study, data)) is not None:
        console.print(f"hint: {hint}")


def print_standing(console: Console, standing: Standing, *, every_trial: bool) -> None:
    """Print where a study stands."""
    if (warning := too_small(standing.powers)) is not None:
        console.print(warning, style="yellow")
    if standing.table is not None:
        print_table(console, standing.table)
    for fidelity in standing.fidelities:
        _print_fidelity(console, standing, fidelity, every_trial=every_trial)
    if standing.finals:
        winner = standing.finals[0] if standing.finals[0].name == "winner" else None
        console.print("\nfinal: trained anew with fresh seeds, on the test split", style="bold")
        console.print(_comparison(standing.finals, winner))
    _print_classes(console, standing)
    print_networks(console, standing)
    if standing.legend:
        console.print("\n" + "\n".join(standing.legend), style="dim")
    console.print(f"\nTraining so far: {_time(standing.seconds)} of one worker.")


def _print_classes(console: Console, standing: Standing) -> None:
    """Print the headline metric of each class where it is measured: of many classes the worst and the best."""
    found = class_table_of(standing)
    if found is None:
        return
    console.print(f"\n{found.title}", style="bold")
    worst, best, between = found.ends(_ENDS, _MOST_CLASSES)
    table = make_table("class", *found.columns)
    for cells in worst:
        table.add_row(*cells)
    if between:
        table.add_row(f"… {between} classes left out …", *[""] * len(found.columns))
    for cells in best:
        table.add_row(*cells)
    console.print(table)
    console.print(found.says, style="dim")


def _print_fidelity(console: Console, standing: Standing, fidelity: FidelityStanding, *, every_trial: bool) -> None:
    states = ", ".join(f"{fidelity.counts[state]} {state}" for state in State if fidelity.counts.get(state))
    states = states or ("no trial yet" if fidelity.baselines else "not begun")
    kind = f" ({fidelity.score}, nothing is trained)" if fidelity.score else ""
    console.print(f"\n{fidelity.name}{kind}: {states}", style="bold")
    if again := [trial for trial in fidelity.trials if trial.retries]:
        times = ", ".join(f"trial {trial.number}: {trial.retries}" for trial in again)
        console.print(f"  workers lost and trials gone on: {sum(trial.retries for trial in again)} ({times})")
    leader = [fidelity.leader] if fidelity.leader else []
    if leader or fidelity.baselines:
        console.print(_comparison([*leader, *fidelity.baselines], fidelity.leader))
        if fidelity.race is not None and fidelity.baselines:
            console.print("  leader's lead: over the seeds that both have")
    if fidelity.race is not None and fidelity.race.candidates:
        _print_race(console, fidelity.race)
    if every_trial and fidelity.trials:
        rows, labelled = [], any(trial.label is not None for trial in fidelity.trials)
        for trial in fidelity.trials:
            name = [trial.label or ""] * labelled
            named = zip(fidelity.objectives, trial.values or (), strict=False)
            values = [_value(metric, value) for metric, value in named]
            values += [""] * (len(fidelity.objectives) - len(values))
            rows.append(
                [
                    *(str(trial.number), *name, str(trial.state), *values),
                    *(str(trial.epochs), trial.architecture_id, why(trial)),
                ]
            )
        columns = ["trial", *["name"] * labelled, "state", *fidelity.objectives, "epochs", "architecture", "why"]
        print_long(console, columns, rows)


def _print_race(console: Console, race: RaceStanding) -> None:
    console.print(f"  {races.verdict(race)}")
    table = make_table(*races.columns(race))
    for row in races.rows(race):
        table.add_row(row.name, row.value, row.seeds, row.behind, row.standing, row.architecture)
    console.print(table)
    if said := races.sizes(race):
        console.print(f"  {said}")


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
        of = f"{entry.networks} promoted networks, {entry.drawn} at random"
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


def as_json(standing: Standing, trust: Iterable[Trust] = ()) -> dict[str, Any]:
    """Return a standing, and how well ranks were predicted, as plain data for programs."""
    return {
        "study": standing.study.name,
        "seconds": standing.seconds,
        "fidelities": [
            {
                "name": fidelity.name,
                "counts": {str(state): n for state, n in fidelity.counts.items()},
                "leader": _plain(fidelity.leader) if fidelity.leader else None,
                "baselines": [_plain(baseline) for baseline in fidelity.baselines],
                "trials": [asdict(trial) for trial in fidelity.trials],
                "race": races.plain(fidelity.race) if fidelity.race else None,
            }
            for fidelity in standing.fidelities
        ],
        "finals": [_plain(final) for final in standing.finals],
        "winner": standing.winner.architecture.id if standing.winner else None,
        "table": None if standing.table is None else plain_table(standing.table),
        "trust": [asdict(entry) for entry in trust],
        "power": [_plain_power(power) for power in standing.powers],
        "networks": {"backbone": standing.networks.backbone or None, "in_words": dict(standing.networks.of)},
    }


def plain_driver(driver: Driver) -> dict[str, Any]:
    """Return who drives a study as plain data."""
    times = {name: getattr(driver, name).isoformat() for name in ("since", "heard")}
    return {"host": driver.host, "pid": driver.pid, "lives": driver.lives, **times}


def _plain_power(power: Power) -> dict[str, Any]:
    """Return a power as plain data, deviations with their degrees of freedom; the headline under its metric's name."""
    plain = asdict(power)
    return {**plain, power.metric: plain.pop("headline")}


def _plain(candidate: Compared) -> dict[str, Any]:
    """Return a candidate as plain data; each metric's values under the metric's name, a score's under `scores`."""
    plain = asdict(candidate)
    del plain["headline"]
    values, of_classes = plain.pop("values"), plain.pop("of_classes")
    plain |= {"of_classes": of_classes} if of_classes else {}
    plain |= {"scores": candidate.compared} if candidate.scored else values
    if candidate.behind is not None:
        plain["behind"] |= {"resolved": candidate.behind.resolved, "said": str(candidate.behind)}
    return plain


def _comparison(candidates: Sequence[Compared], leader: Compared | None) -> Table:
    if any(candidate.scored for candidate in candidates):
        return _scores(candidates, leader)
    headline = candidates[0].headline
    others = next((others_of(candidate) for candidate in candidates if candidate.trained), ())
    heads = [headline.heading, *(metric.heading for metric in others)]
    table = make_table("", *heads, "seeds", *LEADS, "architecture")
    for candidate in candidates:
        if not candidate.trained:
            table.add_row(candidate.shown, "failed", *[""] * len(others), "", "", "", candidate.failure)
            continue
        table.add_row(
            candidate.shown,
            _mean_and_spread(candidate.compared, headline.digits),
            *(f"{statistics.fmean(candidate.values[metric.name]):{metric.digits}}" for metric in others),
            ", ".join(map(str, candidate.seeds)),
            in_numbers(candidate.behind),
            counts(candidate.behind, headline),
            candidate.architecture_id,
            style="bold" if candidate is leader else None,
        )
    return table


def _scores(candidates: Sequence[Compared], leader: Compared | None) -> Table:
    table = make_table("", "score", LEADS[0], "architecture")
    for candidate in candidates:
        if not candidate.compared:
            table.add_row(candidate.name, "failed", "", candidate.failure)
            continue
        difference = "" if leader is None or candidate is leader else f"{leader.ahead_of(candidate):+.4g}"
        table.add_row(candidate.name, f"{candidate.mean:#.6g}", difference, candidate.architecture_id)
    return table


def _mean_and_spread(values: Sequence[float], digits: str) -> str:
    spread = f" ± {statistics.stdev(values):{digits}}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{digits}}{spread}"


def _range(values: Range) -> Iterable[str]:
    return map(_short, (values.low, values.median, values.high))


def _short(number: float, digits: str = ".3") -> str:
    for limit, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:{digits}g}{unit}"
    return f"{number:{digits}g}"


def _value(metric: str, value: float) -> str:
    """Return an objective's value with as many digits as every other in its column."""
    known = METRICS[metric]
    if known.share:
        return f"{value:{known.digits}}"
    return _short(value, "#.6" if known is SCORE else "#.4")


def _time(seconds: float | None) -> str:
    return "unknown" if seconds is None else str(timedelta(seconds=round(seconds)))


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
