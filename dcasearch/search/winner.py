"""Who won: the best architecture of the last fidelity, over its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from dcasearch.architecture import Architecture
from dcasearch.config.study import Fidelity, Study
from dcasearch.errors import UserError
from dcasearch.search.objectives import objectives_at, ranking
from dcasearch.search.racing import images_of, race_of
from dcasearch.store import Store
from dcasearch.trial import State, Trial


@dataclass(frozen=True)
class Winner:
    """The best architecture of a fidelity with its trials, one per seed."""

    architecture: Architecture
    trials: tuple[Trial, ...]
    values: tuple[float, ...]
    """Per objective, the mean over the seeds."""


def winner_of(study: Study, store: Store, fidelity: str | None = None, trials: Iterable[Trial] | None = None) -> Winner:
    """Return the winner by the first objective (further ones break ties) at a fidelity, the last by default.

    Architectures with fewer seeds than the fidelity asks for are left out where others have them: their means do
    not compare. In a race it is the best of those still in it, over the seeds that all of these have.

    Args:
        study: The study.
        store: Its database.
        fidelity: The level.
        trials: Its trials, where they are at hand; else they are read.

    Raises:
        UserError: no trial is complete there.
    """
    level = next(f for f in study.fidelities if f.name == (fidelity or study.fidelities[-1].name))
    name = level.name
    held = list(store.trials(study.name, name) if trials is None else trials)
    by_architecture: dict[str, list[Trial]] = {}
    for trial in held:
        if trial.state is State.COMPLETE:
            by_architecture.setdefault(trial.architecture_id, []).append(trial)
    if not by_architecture:
        raise UserError(f"study '{study.name}' has no complete trial at fidelity '{name}' yet")
    needed = min(len(level.seeds), max(len(trials) for trials in by_architecture.values()))
    candidates = [trials for trials in by_architecture.values() if len(trials) >= needed]
    candidates = _still_racing(study, store, level, held) or candidates
    means = [tuple(map(statistics.fmean, zip(*(t.values or () for t in trials), strict=True))) for trials in candidates]
    best = ranking(objectives_at(study, level), means, "value")[0]
    seeds = tuple(candidates[best])
    return Winner(store.get_architecture(seeds[0].architecture_id), seeds, means[best])


def _still_racing(study: Study, store: Store, level: Fidelity, trials: list[Trial]) -> list[list[Trial]]:
    """Return per architecture still in the race of a fidelity the trials that all of them have; empty without one."""
    if level.race is None:
        return []
    record = store.get_study(study.name)
    images = None if record is None else images_of(record.meaning, level.name)
    race = race_of(level, objectives_at(study, level), trials, images)
    begun = [candidate for candidate in (race.racing if race is not None else ()) if candidate.values]
    shared = min((len(candidate.values) for candidate in begun), default=0)
    return [list(candidate.trials[:shared]) for candidate in begun]
