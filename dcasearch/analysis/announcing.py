"""What a run announces before it trains anything: how long it may take, and every phase to come.

Whoever shows the run, or tells when it will end, knows no more of the study than this (docs/events.md).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

from dcasearch.analysis.parents import constant_parents, parents_trained
from dcasearch.architecture.words import aspects_of
from dcasearch.config.study import Fidelity, Study
from dcasearch.data import DataInfo
from dcasearch.search.objectives import headline_at, objectives_at
from dcasearch.search.pruning import keeps, rungs
from dcasearch.search.work import Event
from dcasearch.space import Space, count_distinct, size
from dcasearch.store import Store
from dcasearch.trial import State, Value

_POINTS = 20
"""Points that are looked at for their backbone."""
_PASSES = 3
"""A training step is about three forward passes."""
_COUNT_SECONDS = 0.5
"""What the count of a space that may be used up may take."""
_RECENT = 20
"""Trainings of earlier runs that the seconds of an epoch are taken from."""


def run_event(study: Study, space: Space, now: datetime) -> Event:
    """Return what is said first: how many trainings may run at a time, and when the run ends in any case."""
    stop = study.stop
    limits = [] if stop.wall_hours is None else [stop.wall_hours * 3600]
    if stop.deadline is not None:
        deadline = datetime.fromisoformat(stop.deadline)
        limits.append((deadline - now.replace(tzinfo=deadline.tzinfo and now.tzinfo)).total_seconds())
    fields: dict[str, Value] = {
        "backbone": _backbone(space),
        "workers": study.executor.max_concurrent,
        "limit_seconds": max(0.0, min(limits)) if limits else None,
        "may_end_early": stop.no_improvement is not None or stop.target is not None,
    }
    return Event("run", study.name, fields=fields)


def _backbone(space: Space) -> str | None:
    """Return the backbone of a space in words; None where it has several, as far as some of its points tell."""
    rng = random.Random("backbone")
    points = [space.random(rng) for _ in range(_POINTS)]
    architectures = [*(point.architecture for point in points), *(b.architecture for b in space.all_baselines())]
    found = {aspects_of(architecture.network)["backbone"] for architecture in architectures}
    return found.pop() if len(found) == 1 else None


def facts_of(study: Study, fidelity: Fidelity, data: DataInfo) -> dict[str, Value]:
    """Return what is announced of every phase of a fidelity: its epochs, rungs and metric, and the work of an epoch."""
    scored = fidelity.kind == "zero_cost"
    train = round(data.train_images * fidelity.train_fraction)
    facts: dict[str, Value] = {
        "epochs": fidelity.epochs,
        "rungs": "",
        "keeps": None,
        "metric": headline_at(study, fidelity).name,
        "objectives": ", ".join(f"{metric}: {way}" for metric, way in objectives_at(study, fidelity).items()),
        "images": None if scored else train + data.validation_images,
        "work": None if scored else float((_PASSES * train + data.validation_images) * fidelity.resolution**2),
    }
    return facts | ({"score": fidelity.score} if scored else {})


def pruning_of(fidelity: Fidelity) -> dict[str, Value]:
    """Return what is announced besides of the trials of a fidelity, which alone are pruned."""
    steps = rungs(fidelity.pruner, fidelity.epochs)
    return {"rungs": ", ".join(map(str, steps)), "keeps": keeps(fidelity.pruner, fidelity.epochs)}


def plan_events(study: Study, space: Space, data: DataInfo, store: Store) -> Iterator[Event]:
    """Yield an event for each phase of a study, in the order in which phases are begun."""
    before = ""
    baselines = len(space.baselines(study.baselines))
    for fidelity in study.fidelities:
        facts = facts_of(study, fidelity, data) | _paces(study, fidelity, store)
        trials, seeds, most = _trainings(study, space, fidelity)
        if trained := _parents(study, space, fidelity, trials):
            yield _plan(f"{fidelity.name} parents", trained * seeds, facts)
        if baselines:
            known = _known_roles(study, store, fidelity, "baseline")
            yield _plan(f"{fidelity.name} baselines", baselines * len(fidelity.seeds), facts | known)
        waits = fidelity.promote is not None and not fidelity.promote.asynchronous
        known = {str(state): n for state, n in store.counts(study.name).get(fidelity.name, {}).items()}
        more: dict[str, Value] = {"most": most, "after": before if waits else ""}
        label = f"{fidelity.name} trials"
        yield _plan(label, None if trials is None else trials * seeds, facts | pruning_of(fidelity) | known | more)
        before = label
    if study.final is not None:
        last = study.fidelities[-1]
        facts = facts_of(study, last, data) | _paces(study, last, store) | {"after": before}
        known = _known_roles(study, store, last, "final")
        yield _plan(f"{last.name} finals", (1 + baselines) * len(study.final.seeds), facts | known)


def _plan(label: str, total: int | None, fields: Mapping[str, Value]) -> Event:
    return Event("plan", label, fields={"total": total, **fields})


def _trainings(study: Study, space: Space, fidelity: Fidelity) -> tuple[int | None, int, int | None]:
    """Return the networks that a fidelity's trials train, with how many seeds, and how many trainings at most."""
    wanted = fidelity.trials
    if fidelity.promote is not None:
        first = study.fidelities[0].trials
        wanted = fidelity.promote.top + fidelity.promote.random
        wanted = wanted if first is None else min(wanted, first)
    if study.on_duplicate == "replay" and (wanted is None or wanted * 10 > size(space)):
        distinct = count_distinct(space, _COUNT_SECONDS)
        if distinct.exact:
            wanted = distinct.value if wanted is None else min(wanted, distinct.value)
    seeds, most = len(fidelity.seeds), None
    if fidelity.race is not None and wanted is not None and wanted > 1:
        seeds, most = max(2, seeds), wanted * fidelity.race.max_seeds
    return wanted, seeds, most


def _parents(study: Study, space: Space, fidelity: Fidelity, trials: int | None) -> int:
    if fidelity.parent is not None:
        return parents_trained(study, space, fidelity)
    return constant_parents(study, space, fidelity, trials or 0)


def _known_roles(study: Study, store: Store, fidelity: Fidelity, role: str) -> dict[str, Value]:
    """Return the trainings of a role that earlier runs have ended, by state."""
    known = [r for r in store.roles(study.name) if (r.role, r.fidelity) == (role, fidelity.name)]
    complete = sum(r.evaluation is not None for r in known)
    failed = sum(r.failure not in (None, "lost") for r in known)
    counts = Counter({str(State.COMPLETE): complete, str(State.FAILED): failed})
    return {state: count for state, count in counts.items() if count}


def _paces(study: Study, fidelity: Fidelity, store: Store) -> dict[str, Value]:
    """Return the seconds of an epoch in the last trainings of a fidelity, where earlier runs have stored some."""
    roles = [role.evaluation for role in store.roles(study.name) if role.fidelity == fidelity.name]
    trials = [trial.evaluation for trial in store.trials(study.name, fidelity.name)]
    ids = [id for id in (*roles, *trials) if id is not None]
    records = store.evaluations(ids[-_RECENT:]).values()
    epochs = sum(len(record.history) for record in records)
    return {"epoch_seconds": sum(record.seconds for record in records) / epochs} if epochs else {}
