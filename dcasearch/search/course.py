"""The course of a trial: its epochs, the rungs that may stop it, and its end."""

from __future__ import annotations

import dataclasses

from dcasearch.architecture import Architecture
from dcasearch.config.study import Fidelity, Study
from dcasearch.errors import StudyFailed, TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.admission import Admission, label_of
from dcasearch.search.costing import Costs
from dcasearch.search.leaders import Leaders
from dcasearch.search.ledger import Ledger
from dcasearch.search.objectives import headline_at, losses, measured, objectives_at, values_of, violation
from dcasearch.search.pruning import RUNGS_PASSED, goes_on, rungs, rungs_passed
from dcasearch.search.retention import Retention
from dcasearch.search.stopping import too_many_failures
from dcasearch.search.work import Job, Observer, epoch_event, event_of
from dcasearch.trial import RETRY_OF, State, Trial, Value


class Course:
    """Takes what comes of one fidelity's jobs. Our row is written first, then Optuna's, then that of duplicates."""

    def __init__(
        self,
        *,
        study: Study,
        fidelity: Fidelity,
        costs: Costs,
        ledger: Ledger,
        admission: Admission,
        retention: Retention,
        observe: Observer,
    ) -> None:
        self._study, self._fidelity, self._costs = study, fidelity, costs
        self._ledger, self._admission, self._retention, self._observe = ledger, admission, retention, observe
        self._objectives, self._headline = objectives_at(study, fidelity), headline_at(study, fidelity)
        self._rungs = rungs(fidelity.pruner, fidelity.epochs)
        self._leaders = Leaders(self._objectives)

    def tell_leaders(self) -> None:
        """Say who leads among the trials of earlier runs, in each objective."""
        complete = self._ledger.complete()
        for place, (metric, direction) in enumerate(self._objectives.items()):
            if not complete:
                return
            best = min(complete, key=lambda trial: losses({metric: direction}, [(trial.values or ())[place]]))
            self._tell_leaders(best, self._admission.architecture_of(best))

    def _tell_leaders(self, trial: Trial, architecture: Architecture) -> None:
        values = dict(zip(self._objectives, trial.values or (), strict=True))
        for event in self._leaders.take(label_of(trial), architecture, values):
            self._observe(event)

    def report(self, job: Job, epoch: Epoch) -> bool:
        """Store one epoch of the curve and decide whether the trial goes on."""
        curve = self._ledger.report(job.number, epoch)
        self._observe(epoch_event(job, epoch, self._headline))
        if epoch.epoch not in self._rungs:
            return True
        trial, passed = self._ledger.trials[job.number], self._rungs.index(epoch.epoch) + 1
        if passed <= rungs_passed(trial):  # replayed from a checkpoint; the other curves have grown since
            return True
        others = [other for number, other in self._ledger.curves.items() if number != job.number]
        if not goes_on(self._fidelity.pruner, self._fidelity.epochs, curve, others):
            return False
        self._ledger.put(dataclasses.replace(trial, attributes={**trial.attributes, RUNGS_PASSED: passed}))
        return True

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """Record a training that ran to its end, or to the rung that stopped it; then tell Optuna."""
        trial, cost = self._ledger.trials[job.number], self._costs.of(job.assignment.architecture)
        epochs = len(evaluation.history)
        row = dataclasses.replace(trial, evaluation=evaluation.key.id, epochs=epochs)
        if epochs < self._fidelity.epochs:
            attributes = {**trial.attributes, "rung": self._rungs.index(epochs)}
            row = dataclasses.replace(row, state=State.PRUNED, attributes=attributes)
        else:
            values = values_of(self._objectives, evaluation.last, cost)
            row = dataclasses.replace(row, state=State.COMPLETE, values=values)
        self._ledger.settle(row, evaluation, violation(self._study.constraints, cost))
        self._retention.ended(row, evaluation)
        fields: dict[str, Value] = {
            **measured(evaluation.last, self._headline),
            "epochs": epochs,
            "seconds": evaluation.seconds,
        }
        if row.values is not None:
            fields |= zip(self._objectives, row.values, strict=True)
        self._observe(event_of("complete" if row.state is State.COMPLETE else "pruned", job, fields=fields))
        if row.state is State.COMPLETE:
            self._tell_leaders(row, job.assignment.architecture)
        self._admission.settle_waiting(row)

    def reuse(self, job: Job, known: Evaluation) -> None:
        """Take over a record that a baseline, or another study of this database, already made."""
        for epoch in known.history:
            self._ledger.report(job.number, epoch)
        self.finish(job, known)

    def fail(self, job: Job, failure: TrialFailure) -> None:
        """Store a failure; a trial that lost its worker goes on from its checkpoint while it has retries."""
        trial = self._ledger.trials[job.number]
        if failure.kind == "lost" and trial.retries < self._study.executor.retries:
            self._retry(job, trial, failure)
            return
        row = dataclasses.replace(trial, state=State.FAILED, failure=failure.kind, message=str(failure))
        # No record, no curve: a driver that starts anew reads the curves from the records.
        self._ledger.curves.pop(job.number, None)
        self._ledger.settle(row)
        self._retention.failed(job.assignment.key, failure)
        self._observe(event_of("failed", job, f"{failure.kind}: {failure}"))
        self._admission.settle_waiting(row)
        self.check_failures()

    def _retry(self, job: Job, trial: Trial, failure: TrialFailure) -> None:
        self._ledger.put(dataclasses.replace(trial, retries=trial.retries + 1))
        self._observe(event_of("lost", job, str(failure)))
        self._admission.ready.append(dataclasses.replace(job, resumed=True))

    def check_failures(self) -> None:
        """Raise StudyFailed once more trials have failed than the study allows."""
        again = self._ledger.attributes(RETRY_OF)
        too_many = too_many_failures(self._study.stop, self._fidelity.name, self._ledger.trials.values(), again)
        if too_many is not None:
            name = self._study.name
            raise StudyFailed(f"{too_many}; `dcasearch status {name}` says why, `dcasearch retry {name}` tries again")
