"""From a suggestion to a job: a trial is drawn, settled if it needs no training, or made ready to run.

A trial needs no training if it violates a constraint or is a duplicate: another trial has the same architecture and
seed. A duplicate takes over what its original came to; it waits while the original still runs.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping

import optuna

from dcasearch.architecture import Architecture
from dcasearch.architecture.words import sentence_of
from dcasearch.config.study import Fidelity, Resources, Study
from dcasearch.search.assignments import assignment_of
from dcasearch.search.costing import Costs
from dcasearch.search.ledger import Ledger
from dcasearch.search.objectives import violated, violation
from dcasearch.search.pruning import RUNGS_PASSED, rungs_passed
from dcasearch.search.work import Job, Observer, event_about
from dcasearch.space import Space
from dcasearch.store import Store
from dcasearch.store.optuna_private import attach_drawing
from dcasearch.trial import RETRY_OF, Origin, State, Trial

_CARRIED = ("reason", "probability", "of", RETRY_OF, RUNGS_PASSED)
"""What a planned trial's row takes over from its plan."""


class Admission:
    """Makes jobs of one fidelity's suggestions, and knows which trial is the original of an architecture and seed."""

    def __init__(
        self,
        *,
        study: Study,
        fidelity: Fidelity,
        space: Space,
        store: Store,
        costs: Costs,
        data_fingerprint: str,
        ledger: Ledger,
        observe: Observer,
    ) -> None:
        self._study, self._fidelity, self._space, self._store = study, fidelity, space, store
        self._costs, self._data_fingerprint = costs, data_fingerprint
        self._ledger, self._observe = ledger, observe
        self.ready: deque[Job] = deque()
        """Jobs that no executor has yet."""
        self._originals: dict[tuple[str, int], int] = {}
        for trial in ledger.trials.values():
            self._remember(trial)

    def admit(self, suggested: optuna.trial.Trial) -> None:
        """Draw a trial's parameters and settle it, or make it a job."""
        point = self._space.sample(suggested.suggest_categorical)
        architecture = point.architecture
        attributes = suggested.user_attrs
        origin: Origin = attributes.get("origin", "sampled")
        first_seed = int(attributes.get("seed", self._fidelity.seeds[0]))
        original = self._originals.get((architecture.id, first_seed))
        if RETRY_OF in attributes and original is not None and self._ledger.trials[original].state is State.FAILED:
            del self._originals[architecture.id, first_seed]  # else this one would be its duplicate
        trial = Trial(
            study=self._study.name,
            fidelity=self._fidelity.name,
            number=suggested.number,
            state=State.RUNNING,
            origin=origin,
            params=point.params,
            architecture_id=architecture.id,
            seed=self._seed(architecture.id, first_seed),
            retries=int(attributes.get("retries", 0)),
            attributes={name: attributes[name] for name in _CARRIED if name in attributes},
        )
        cost = self._costs.of(architecture)
        self._store.put_architecture(architecture)
        self._show(trial, architecture, cost)
        if not self._feasible(trial, architecture, cost):
            return
        original = self._originals.get((trial.architecture_id, trial.seed))
        if original is not None and original != trial.number:
            self._admit_duplicate(trial, self._ledger.trials[original], architecture)
            return
        self._ledger.put(trial)
        self._remember(trial)
        self._start(trial, architecture, resumed=False)

    def resume(self, trial: Trial) -> None:
        """Make a running trial a job again after its driver died."""
        self._start(trial, self.architecture_of(trial), resumed=True)

    def settle_waiting(self, original: Trial) -> None:
        """Replay an ended trial for its waiting duplicates; if its machine failed, the first of them takes over."""
        waiting = [
            t for t in self._ledger.trials.values() if t.state is State.WAITING and t.duplicate_of == original.number
        ]
        self._remember(original)
        for trial in sorted(waiting, key=lambda t: t.number):
            if original.failure == "lost":
                # It goes on from the checkpoint of the trial before it, whose rungs it need not pass again.
                attributes = {**trial.attributes, RUNGS_PASSED: rungs_passed(original)}
                original = dataclasses.replace(trial, state=State.RUNNING, duplicate_of=None, attributes=attributes)
                self._ledger.put(original)
                self._remember(original)
                self._start(original, self.architecture_of(original), resumed=False)
            elif original.state is State.RUNNING:
                self._ledger.put(dataclasses.replace(trial, duplicate_of=original.number))
            else:
                self._replay(trial, original, self.architecture_of(trial))

    def violation_of(self, trial: Trial) -> dict[str, float]:
        """Return by how much a trial violates each constraint."""
        return violation(self._study.constraints, self._costs.of(self.architecture_of(trial)))

    def _show(self, trial: Trial, architecture: Architecture, cost: Mapping[str, float]) -> None:
        """Show in Optuna's tables which network a trial has; every trial, also one that is never trained."""
        sentence = sentence_of(architecture.network)
        network = sentence if trial.label is None else f"{trial.label}: {sentence}"
        self._ledger.annotate(trial.number, network=network, architecture=trial.architecture_id, **cost)
        attach_drawing(self._ledger.optuna, trial.number, trial.architecture_id)

    def _feasible(self, trial: Trial, architecture: Architecture, cost: Mapping[str, float]) -> bool:
        """Return whether a trial violates no constraint; settle one that does."""
        constraint = violated(self._study.constraints, cost)
        if constraint:
            row = dataclasses.replace(trial, state=State.INFEASIBLE, constraint=constraint)
            self._ledger.settle(row, violation=violation(self._study.constraints, cost))
            self._observe(event_about("infeasible", label_of(trial), architecture, constraint))
        return not constraint

    def _seed(self, architecture_id: str, seed: int) -> int:
        """Return the trial's seed; under `on_duplicate: new_seed` a network met again gets the next free one."""
        if self._study.on_duplicate == "new_seed":
            while (architecture_id, seed) in self._originals:
                seed += 1
        return seed

    def _admit_duplicate(self, trial: Trial, original: Trial, architecture: Architecture) -> None:
        row = dataclasses.replace(trial, state=State.WAITING, duplicate_of=original.number)
        if original.state is State.RUNNING:
            self._ledger.put(row)
        else:
            self._replay(row, original, architecture)

    def _replay(self, waiting: Trial, original: Trial, architecture: Architecture) -> None:
        """Give a duplicate the end of its original."""
        row = dataclasses.replace(
            waiting,
            state=State.DUPLICATE,
            evaluation=original.evaluation,
            values=original.values,
            epochs=original.epochs,
            failure=original.failure,
            message=original.message,
        )
        self._ledger.settle(row)
        said = f"of trial {original.number}"
        fields = {"original": original.number}
        self._observe(event_about("duplicate", label_of(row), architecture, said, fields))

    def _start(self, trial: Trial, architecture: Architecture, *, resumed: bool) -> None:
        assignment = assignment_of(
            self._study, self._fidelity, architecture, trial.seed, data_fingerprint=self._data_fingerprint
        )
        resources = self._study.executor.resources.get(self._fidelity.name, Resources())
        job = Job(
            label=label_of(trial),
            number=trial.number,
            assignment=assignment,
            resources=resources,
            epoch_seconds=self._study.executor.epoch_seconds,
            resumed=resumed,
            trial=True,
        )
        self.ready.append(job)

    def architecture_of(self, trial: Trial) -> Architecture:
        """Return a trial's own architecture; the one stored under its id may differ in α's first value."""
        return self._space.point(trial.params).architecture

    def _remember(self, trial: Trial) -> None:
        """Make a trial the original of its (architecture, seed), unless its machine failed."""
        key = (trial.architecture_id, trial.seed)
        if trial.state in (State.RUNNING, State.COMPLETE, State.PRUNED) or trial.failure not in (None, "lost"):
            if trial.duplicate_of is None:
                self._originals[key] = trial.number
        elif trial.failure == "lost" and self._originals.get(key) == trial.number:
            del self._originals[key]


def label_of(trial: Trial) -> str:
    """Return how events call a trial; a row of a list also by its label, and by its seed where that is not 0."""
    named = f"{trial.fidelity} trial {trial.number}"
    if trial.label is None:
        return named
    return f"{named} ({trial.label}{f', seed {trial.seed}' if trial.seed else ''})"
