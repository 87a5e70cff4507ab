"""What a driver takes up that the one before it left, from the database alone."""

from __future__ import annotations

from dcasearch.search.admission import Admission
from dcasearch.search.ledger import Ledger
from dcasearch.search.retrying import LOST, failed, plan_retries
from dcasearch.store.optuna_private import taken_up
from dcasearch.trial import State


def plan_lost(ledger: Ledger, retries: int) -> None:
    """Plan the trials anew whose machine failed, where `retries` was raised since."""
    lost = [t for t in failed(ledger.trials.values(), LOST) if t.retries < retries]
    plan_retries(ledger, lost, keep_count=True)


def recover(ledger: Ledger, admission: Admission) -> None:
    """Take up the trials that are RUNNING in Optuna's tables, by number.

    | our row      | what is done                                                              |
    |--------------|---------------------------------------------------------------------------|
    | none         | its parameters were half drawn: it is drawn again under its number        |
    | running      | it goes on from its checkpoint                                            |
    | waiting      | it waits on, or is settled if its original has ended                      |
    | any other    | it has ended: Optuna is told                                              |
    """
    left = {number: trial.state for number, trial in ledger.trials.items()}
    for frozen in ledger.unfinished():
        trial = ledger.trials.get(frozen.number)
        if trial is None:
            admission.admit(taken_up(ledger.optuna, frozen))
        elif left.get(trial.number) is not trial.state:
            continue  # an earlier duplicate of this loop has settled this one, or made it a job
        elif trial.state is State.WAITING:
            original = ledger.trials[trial.duplicate_of or 0]
            if original.state is not State.RUNNING:
                admission.settle_waiting(original)
        elif trial.state is State.RUNNING:
            admission.resume(trial)
        else:
            ledger.tell(trial, admission.violation_of(trial))
