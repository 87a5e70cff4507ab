"""Which files of the artifact store other studies of the database, or a study's own roles, still count on."""

from __future__ import annotations

from collections.abc import Iterable

from dcasearch.bounds import STORED
from dcasearch.config.study import Fidelity, Study
from dcasearch.search.objectives import objectives_at, ranking
from dcasearch.search.winner import winner_of
from dcasearch.store import Store
from dcasearch.trial import Role, State, Trial


def weights_needed(store: Store, beside: str, ids: Iterable[str], *, own_roles: bool = True) -> set[str]:
    """Return those evaluations whose weights someone else keeps: a role, or one of the best trials of another study.

    Args:
        store: the database.
        beside: the study that needs them no more; its own trials do not count.
        ids: of evaluations.
        own_roles: whether its own baselines, final trainings and parents count.
    """
    needed: set[str] = set()
    shared: dict[tuple[str, str], set[str]] = {}
    for entry in store.users(ids):
        id = entry.evaluation or ""
        if isinstance(entry, Role):
            if own_roles or entry.study != beside:
                needed.add(id)
        elif entry.study != beside and entry.state is State.COMPLETE:
            shared.setdefault((entry.study, entry.fidelity), set()).add(id)
    for (study, fidelity), used in shared.items():
        needed |= used & _kept(store, study, fidelity, used)
    return needed


def trainings_elsewhere(store: Store, beside: str) -> set[tuple[str, int]]:
    """Return the architectures' ids and the seeds of what other studies have begun and not ended."""
    unfinished: set[tuple[str, int]] = set()
    for study in store.studies():
        if study.name != beside:
            entries: list[Trial | Role] = [*store.trials(study.name), *store.roles(study.name)]
            unfinished |= {(entry.architecture_id, entry.seed) for entry in entries if is_unfinished(entry)}
    return unfinished


def is_unfinished(entry: Trial | Role) -> bool:
    """Return whether a training is still to end, or to be settled."""
    if isinstance(entry, Trial):
        return entry.state in (State.RUNNING, State.WAITING)
    return entry.evaluation is None and entry.failure is None


def kept_weights(study: Study, fidelity: Fidelity) -> int:
    """Return of how many trials of a fidelity the weights stay; in a race with all seeds that each may have."""
    return study.keep_weights * (1 if fidelity.race is None else fidelity.race.max_seeds)


def _kept(store: Store, name: str, level: str, used: set[str]) -> set[str | None]:
    """Return the evaluations whose weights a fidelity of a study keeps; `used` where nobody can say."""
    stored = store.get_study(name)
    try:
        study = Study.model_validate_json("" if stored is None else stored.resolved, context=STORED)
    except ValueError:  # stored by another version
        return {*used}
    fidelity = next((fidelity for fidelity in study.fidelities if fidelity.name == level), None)
    if fidelity is None or study.keep_weights == 0:
        return set()
    trials = [trial for trial in store.trials(name, level) if trial.state is State.COMPLETE]
    order = ranking(objectives_at(study, fidelity), [trial.values or () for trial in trials], "value")
    best = [trials[n] for n in order[: kept_weights(study, fidelity)]]
    return {trial.evaluation for trial in (*best, *winner_of(study, store, level, trials).trials)}
