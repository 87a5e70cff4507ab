"""Where a study stands, on a terminal: its story, each fidelity with its trials, the final trainings."""

from __future__ import annotations

import statistics
import textwrap
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from dcasearch.analysis import races
from dcasearch.analysis.classes import class_table_of
from dcasearch.analysis.standing import Compared, FidelityStanding, Standing, others_of
from dcasearch.analysis.story import Story
from dcasearch.analysis.trials import why
from dcasearch.analysis.words import (
    LEADS,
    OVER_SPLITS,
    counts,
    further_splits,
    in_numbers,
    over_splits,
    tested_on,
    too_small,
)
from dcasearch.cli.networks import print_networks, short
from dcasearch.cli.rows import print_table
from dcasearch.cli.tables import make_table, print_long, with_unit
from dcasearch.metrics import METRICS, SCORE
from dcasearch.search.objectives import ranking
from dcasearch.search.racing import RaceStanding
from dcasearch.trial import WINNER, State, Trial

_ENDS, _MOST_CLASSES = 5, 12
"""Classes that are printed from either end where there are more than so many."""
MOST_TRIALS = 40
"""Of a fidelity with more trials the best are printed."""
_BEST = 20
_BESIDE = 140
"""Characters of a line from which on an answer stands beside its question."""


def print_story(console: Console, story: Story) -> None:
    """Print the six questions that a person has, with their answers."""
    console.print()
    if console.width < _BESIDE:
        for question, answer in story.lines:
            console.print(question, style="bold")
            indent = "  "
            console.print(textwrap.fill(answer, console.width - 1, initial_indent=indent, subsequent_indent=indent))
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for question, answer in story.lines:
        table.add_row(question, answer)
    console.print(table)


def print_standing(
    console: Console,
    standing: Standing,
    *,
    words: Mapping[str, Mapping[str, str]] | None = None,
    detail: bool = False,
) -> None:
    """Print where a study stands.

    Args:
        console: Where.
        standing: The study's.
        words: By fidelity and architecture id what each trial's network is; None prints no trials.
        detail: Print every trial, and how to read a lead.
    """
    if (warning := too_small(standing.powers)) is not None:
        console.print(f"\n{warning}", style="yellow")
    if standing.table is not None:
        print_table(console, standing.table)
    for fidelity in standing.fidelities:
        _print_fidelity(console, standing, fidelity)
        if words is not None and fidelity.trials:
            _print_trials(console, standing, fidelity, words.get(fidelity.name, {}), every=detail)
    if standing.finals:
        winner = standing.finals[0] if standing.finals[0].name == WINNER else None
        console.print(f"\nfinal: trained anew with fresh seeds, {tested_on(standing.final_power)}", style="bold")
        console.print(_comparison(standing.finals, winner, standing))
        if (further := further_splits(standing.final_power)) is not None:
            console.print(textwrap.fill(further, console.width - 1, initial_indent="  ", subsequent_indent="  "))
    _print_classes(console, standing)
    print_networks(console, standing)
    if standing.legend and detail:
        console.print("\n" + "\n".join(standing.legend), style="dim")


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


def _print_fidelity(console: Console, standing: Standing, fidelity: FidelityStanding) -> None:
    states = ", ".join(f"{fidelity.counts[state]} {state}" for state in State if fidelity.counts.get(state))
    states = states or ("no trial yet" if fidelity.baselines else "not begun")
    epochs = next((f", {f.epochs} epochs" for f in standing.study.fidelities if f.name == fidelity.name), "")
    kind = f" ({fidelity.score}, nothing is trained)" if fidelity.score else f"{epochs}, held-out images"
    console.print(f"\n{fidelity.name}{kind}: {states}", style="bold")
    if again := [trial for trial in fidelity.trials if trial.retries]:
        times = ", ".join(f"trial {trial.number}: {trial.retries}" for trial in again)
        console.print(f"  workers lost and trials gone on: {sum(trial.retries for trial in again)} ({times})")
    leader = [fidelity.leader] if fidelity.leader else []
    if leader or fidelity.baselines:
        console.print(_comparison([*leader, *fidelity.baselines], fidelity.leader, standing))
        if fidelity.race is not None and fidelity.baselines:
            console.print("  leader's lead: over the seeds that both have")
    if fidelity.race is not None and fidelity.race.candidates:
        _print_race(console, fidelity.race)


def _print_trials(
    console: Console, standing: Standing, fidelity: FidelityStanding, words: Mapping[str, str], *, every: bool
) -> None:
    """Print the ledger of a fidelity: the leader in words, the others by what differs from it."""
    shown = fidelity.trials if every or len(fidelity.trials) <= MOST_TRIALS else _best_of(fidelity)
    ids = {trial.architecture_id for trial in fidelity.trials}
    labelled = any(trial.label is not None for trial in fidelity.trials)
    rows = []
    for trial in shown:
        values = [_value(metric, value) for metric, value in zip(fidelity.objectives, trial.values or (), strict=False)]
        values += [""] * (len(fidelity.objectives) - len(values))
        cells = [str(trial.number), *[trial.label or ""] * labelled, str(trial.state), *values, str(trial.epochs)]
        rows.append([*cells, words.get(trial.architecture_id, ""), short(trial.architecture_id, ids), why(trial)])
    heads = [METRICS[metric].heading for metric in fidelity.objectives]
    console.print()
    print_long(console, ["trial", *["name"] * labelled, "state", *heads, "epochs", "network", "id", "why"], rows)
    if fidelity.leader is not None and len(rows) > 1:
        console.print("  network: the leader in words, the others by what differs from it", style="dim")
    left = len(fidelity.trials) - len(shown)
    if left:
        command = f"dcasearch trials {standing.study.name} --fidelity {fidelity.name}"
        console.print(f"  … {left:,} more: `{command}`", style="dim")


def _best_of(fidelity: FidelityStanding) -> list[Trial]:
    """Return the best complete trials, the best first; where none is complete, the last that began."""
    complete = [trial for trial in fidelity.trials if trial.state is State.COMPLETE and trial.values]
    order = ranking(fidelity.objectives, [trial.values or () for trial in complete], "value")
    return [complete[n] for n in order[:_BEST]] or list(fidelity.trials[-_BEST:])


def _print_race(console: Console, race: RaceStanding) -> None:
    console.print(f"  {races.verdict(race)}")
    table = make_table(*races.columns(race))
    for row in races.rows(race):
        table.add_row(row.name, row.value, row.seeds, row.behind, row.standing, row.architecture)
    console.print(table)
    if said := races.sizes(race):
        console.print(f"  {said}")


def _comparison(candidates: Sequence[Compared], leader: Compared | None, standing: Standing) -> Table:
    ids = standing.named
    if any(candidate.scored for candidate in candidates):
        return _scores(candidates, leader, ids)
    headline = candidates[0].headline
    others = next((others_of(candidate) for candidate in candidates if candidate.trained), ())
    heads = [headline.heading, *(metric.heading for metric in others)]
    repeated = OVER_SPLITS if any(candidate.over_splits is not None for candidate in candidates) else ()
    table = make_table("", *heads, *repeated, "seeds (which)", *LEADS, "id")
    for candidate in candidates:
        if not candidate.trained:
            gaps = [""] * (len(others) + len(repeated))
            table.add_row(candidate.shown, "failed", *gaps, "", "", "", candidate.failure)
            continue
        table.add_row(
            candidate.shown,
            _mean_and_spread(candidate.compared, headline.digits),
            *(f"{statistics.fmean(candidate.values[metric.name]):{metric.digits}}" for metric in others),
            *over_splits(candidate)[: len(repeated)],
            f"{len(candidate.seeds)} ({', '.join(map(str, candidate.seeds))})",
            in_numbers(candidate.behind),
            counts(candidate.behind),
            short(candidate.architecture_id, ids),
            style="bold" if candidate is leader else None,
        )
    return table


def _scores(candidates: Sequence[Compared], leader: Compared | None, ids: Mapping[str, str]) -> Table:
    table = make_table("", "score", LEADS[0], "id")
    for candidate in candidates:
        if not candidate.compared:
            table.add_row(candidate.name, "failed", "", candidate.failure)
            continue
        difference = "" if leader is None or candidate is leader else f"{leader.ahead_of(candidate):+.4g}"
        table.add_row(candidate.name, f"{candidate.mean:#.6g}", difference, short(candidate.architecture_id, ids))
    return table


def _mean_and_spread(values: Sequence[float], digits: str) -> str:
    spread = f" ± {statistics.stdev(values):{digits}}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{digits}}{spread}"


def _value(metric: str, value: float) -> str:
    """Return an objective's value with as many digits as every other in its column."""
    known = METRICS[metric]
    if known.share:
        return f"{value:{known.digits}}"
    return with_unit(value, "#.6" if known is SCORE else "#.4")
