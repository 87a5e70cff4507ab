"""Failed trials that are taken up again, each as a new trial: what Optuna holds of an ended one cannot change.

The new trial has the parameters, seed and origin of the failed one and names it in its attribute `retry_of`. The failed
one stays in the ledger as it ended; it does not use the budget any more.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection, Iterable

from dcasearch.config.study import Study
from dcasearch.errors import FailureKind
from dcasearch.search.ledger import Ledger
from dcasearch.search.pruning import RUNGS_PASSED
from dcasearch.store import Store
from dcasearch.trial import RETRY_OF, State, Trial

LOST: tuple[FailureKind, ...] = ("lost",)
"""What is taken up again by itself, once `retries` is raised."""
_CARRIED = ("of", "reason", "probability")
"""Attributes by which a promoted trial is known, in its fidelity and to the one before."""


def failed(trials: Iterable[Trial], kinds: Collection[FailureKind]) -> list[Trial]:
    """Return the trials that failed in one of these ways and were not taken up again, by number."""
    trials = list(trials)
    again = retried(trials)
    found = [t for t in trials if t.state is State.FAILED and t.failure in kinds and t.number not in again]
    return sorted(found, key=lambda trial: trial.number)


def retried(trials: Iterable[Trial]) -> set[int]:
    """Return the numbers of the failed trials that were taken up again."""
    return {int(trial.attributes[RETRY_OF] or 0) for trial in trials if RETRY_OF in trial.attributes}


def plan_retries(ledger: Ledger, trials: Iterable[Trial], *, keep_count: bool) -> list[Trial]:
    """Plan failed trials anew; return those that were not planned before.

    Args:
        ledger: of their fidelity.
        trials: those that failed.
        keep_count: whether the workers that a trial has lost count among its `retries` from now on, too.
    """
    known = ledger.attributes(RETRY_OF)
    planned = [trial for trial in trials if trial.number not in known]
    for trial in planned:
        # What was lost goes on from its checkpoint, whose rungs it need not pass again; the others start anew.
        names = (*_CARRIED, RUNGS_PASSED) if trial.failure in LOST else _CARRIED
        carried = {name: trial.attributes[name] for name in names if name in trial.attributes}
        retries = trial.retries if keep_count else 0
        ledger.enqueue(
            trial.params,
            **carried,
            origin=trial.origin,
            seed=trial.seed,
            retries=retries,
            **{RETRY_OF: trial.number},
        )
    return planned


def take_up_again(study: Study, store: Store, kinds: Collection[FailureKind]) -> dict[str, Counter[FailureKind]]:
    """Plan what failed in one of these ways anew: trials, baselines and final trainings; `run` then trains it.

    Returns:
        By fidelity how many there are of each kind.
    """
    found: dict[str, Counter[FailureKind]] = {}
    for fidelity in study.fidelities:
        trials = failed(store.trials(study.name, fidelity.name), kinds)
        if trials:
            planned = plan_retries(Ledger(store, study, fidelity), trials, keep_count=False)
            found[fidelity.name] = Counter(trial.failure for trial in planned if trial.failure is not None)
    for role in store.roles(study.name):
        if role.failure is not None and role.failure in kinds:
            store.put_role(dataclasses.replace(role, failure=None, message=""))
            found.setdefault(role.fidelity, Counter())[role.failure] += 1
    return {fidelity: counts for fidelity, counts in found.items() if counts}
