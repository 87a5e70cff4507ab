"""Races as they are told, before they begin and while they run: in words, for the command line and for a report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dcasearch.config.study import Fidelity, Race, Study
from dcasearch.metrics import METRICS
from dcasearch.search.objectives import objectives_at
from dcasearch.search.race import POWER, looks, resolvable
from dcasearch.search.racing import Candidate, RaceStanding, images_of, race_of, raced_metric
from dcasearch.store import Store


@dataclass(frozen=True)
class RaceForecast:
    """What a race will be able to tell apart, before it begins."""

    fidelity: str
    metric: str
    candidates: int
    race: Race
    ratio: float
    """The lead that is found in 80% of races, in units of the noise of one training; inf where there is none."""
    noise: float | None
    """Of one training between seeds, in the metric's unit, from the seeds that are stored; None: nothing is."""


@dataclass(frozen=True)
class RaceRow:
    """One candidate."""

    name: str
    value: str
    """Mean over its seeds, with their spread."""
    seeds: str
    behind: str
    """How far behind the best one still in it is, over the seeds that both have."""
    standing: str
    architecture: str


def race_at(study: Study, store: Store, fidelity: Fidelity) -> RaceStanding | None:
    """Return how far the race of a fidelity is; None where there is none."""
    record = store.get_study(study.name)
    images = None if record is None else images_of(record.meaning, fidelity.name)
    return race_of(fidelity, objectives_at(study, fidelity), store.trials(study.name, fidelity.name), images)


def foresee_races(study: Study, store: Store | None) -> Iterator[RaceForecast]:
    """Yield what each race of a study will be able to tell apart.

    Args:
        study: the study.
        store: its database, where one exists: the noise is from what the race has trained by now.
    """
    for fidelity in study.fidelities:
        if fidelity.race is None or fidelity.promote is None:
            continue
        candidates = fidelity.promote.top + fidelity.promote.random
        begun = None if store is None else race_at(study, store, fidelity)
        yield RaceForecast(
            fidelity=fidelity.name,
            metric=raced_metric(objectives_at(study, fidelity)),
            candidates=candidates,
            race=fidelity.race,
            ratio=resolvable(1.0, candidates, fidelity.race, len(fidelity.seeds)),
            noise=None if begun is None else begun.noise,
        )


def foreseen(race: RaceForecast) -> str:
    """Return a forecast in words."""
    who = f"Race at {race.fidelity}: {race.candidates} candidates, up to {race.race.max_seeds} seeds each"
    if math.isinf(race.ratio):
        return f"{who}; that is too short to tell anything apart, give it more seeds"
    found = f"a lead of {race.ratio:.2g} × the noise between seeds is found in {POWER:.0%} of such races"
    if race.noise is not None:
        found += f"; with the noise so far, {_amount(race.noise, race.metric)}, "
        found += f"that is {_amount(race.noise * race.ratio, race.metric)}"
    return f"{who}, at confidence {race.race.confidence:.0%}; {found}."


def verdict(race: RaceStanding) -> str:
    """Return in words how far a race is and what it has found."""
    field, left = len(race.candidates), race.racing
    rule = f"confidence {race.race.confidence:.0%}, up to {race.race.max_seeds} seeds"
    if race.waits or (race.looked == 0 and field > 1):
        ahead = next((s for s in looks(race.race, race.given) if s > race.looked), race.race.max_seeds)
        return f"race ({rule}): {len(left)} of {field} are in it; the next look is at {ahead} seeds"
    if race.won:
        failed = " that did not fail" if any(candidate.failure for candidate in race.out) else ""
        return f"race ({rule}): {left[0].name} is told apart from all others{failed}"
    if len(left) > 1:
        others = ", ".join(candidate.name for candidate in left)
        return f"race ({rule}): over, and {others} are not told apart: no difference between them is a win"
    return f"race ({rule}): over, with no two to tell apart"


def sizes(race: RaceStanding) -> str:
    """Return in words how noisy the trainings of a race are and which lead it can find; nothing before a look."""
    found = race.resolvable
    if race.noise is None or found is None:
        return ""
    noise = f"noise of one training between seeds {_amount(race.noise, race.metric)}"
    if math.isinf(found):
        return f"{noise}; too few seeds to tell anything apart"
    return f"{noise}; a lead of {_amount(found, race.metric)} is found in {POWER:.0%} of such races"


def columns(race: RaceStanding) -> tuple[str, ...]:
    """Return the heads of the table whose rows are `rows`."""
    return "candidate", METRICS[race.metric].heading, "seeds", "best −", "race", "architecture"


def rows(race: RaceStanding) -> list[RaceRow]:
    """Return a row per candidate, the best of those still in first, those that left last at the end."""
    ordered = (*race.racing, *race.out)
    return [_row(candidate, ordered[0], race) for candidate in ordered]


def _row(candidate: Candidate, best: Candidate, race: RaceStanding) -> RaceRow:
    sign, digits = METRICS[race.metric].sign, METRICS[race.metric].digits
    values = [sign * value for value in candidate.values]
    spread = f" ± {statistics.stdev(values):{digits}}" if len(values) > 1 else ""
    behind = sign * candidate.behind(best)
    return RaceRow(
        name=candidate.name,
        value=f"{statistics.fmean(values):{digits}}{spread}" if values else "",
        seeds=str(len(values)),
        behind="" if candidate is best or math.isnan(behind) else f"{behind:+{digits}}",
        standing=_standing(candidate, race),
        architecture=candidate.architecture_id,
    )


def _standing(candidate: Candidate, race: RaceStanding) -> str:
    if candidate.failure:
        return f"failed ({candidate.failure})"
    if candidate.beaten_by is not None:
        return f"out after {candidate.left} seeds, by {candidate.beaten_by.name}"
    return "in" if race.waits or len(race.racing) > 1 else "alone"


def _amount(value: float, metric: str) -> str:
    return METRICS[metric].amount(value)


def plain(race: RaceStanding) -> dict[str, Any]:
    """Return a race as plain data for programs."""
    told = [
        {
            "trial": candidate.trials[0].number,
            "architecture_id": candidate.architecture_id,
            "trials": [trial.number for trial in candidate.trials],
            "seeds": [trial.seed for trial in candidate.trials],
            "racing": candidate.racing,
            "left_after": candidate.left,
            "beaten_by": candidate.beaten_by.trials[0].number if candidate.beaten_by else None,
            "failure": candidate.failure or None,
        }
        for candidate in (*race.racing, *race.out)
    ]
    found = race.resolvable
    return {
        "metric": race.metric,
        "looked_after": race.looked,
        "over": not race.waits and race.looked > 0,
        "won": race.won,
        "noise": race.noise,
        "resolvable": None if found is None or math.isinf(found) else found,
        "candidates": told,
    }
