"""The executor-neutral core of one fidelity: which trial is next, when it ends, what became of it.

Everything it knows it can read back from the database, so a driver that dies at any moment is followed by
one that goes on at the same place: a trial whose parameters were half drawn is drawn again under its number,
one that was training goes on from its checkpoint, one whose record is stored is told from the record.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import optuna

from dcasearch.architecture import Architecture
from dcasearch.artifacts import Place
from dcasearch.config.study import Fidelity, Resources, Study
from dcasearch.errors import StudyFailed, TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.candidates import architectures, draw_unvisited
from dcasearch.search.costing import Costs
from dcasearch.search.ledger import Ledger
from dcasearch.search.objectives import measured, objectives_at, values_of, violation
from dcasearch.search.pruning import RUNGS_PASSED, goes_on, rungs, rungs_passed
from dcasearch.search.retention import Retention
from dcasearch.search.retrying import LOST, failed, plan_retries, retried
from dcasearch.search.sharing import kept_weights, weights_needed
from dcasearch.search.stopping import no_improvement, target_reached, too_many_failures
from dcasearch.search.tasks import task_of
from dcasearch.search.work import Event, Job, Observer
from dcasearch.space import Point, Space
from dcasearch.store import Store
from dcasearch.store.optuna_private import taken_up
from dcasearch.training import later_continues
from dcasearch.trial import RETRY_OF, Origin, State, Trial, Value

UNUSABLE_IN_A_ROW = 200
"""Infeasible or duplicate suggestions after which one unvisited architecture is drawn at random."""
UNUSABLE_AFTER_A_DRAW = 10
"""The same where the last training was such a draw: the sampler has been found to repeat itself."""
_CARRIED = ("reason", "probability", "of", RETRY_OF, RUNGS_PASSED)
"""What a planned trial's row takes over from its plan."""
REPEATS_BEFORE_COUNTING = 10
"""Such suggestions after which a small space is looked through for anything that is left."""


class Trials:
    """The trials of one fidelity, as a source of jobs (see `dcasearch.search.work.Work`)."""

    def __init__(
        self,
        *,
        study: Study,
        fidelity: Fidelity,
        space: Space,
        store: Store,
        costs: Costs,
        data_fingerprint: str,
        artifacts: Place,
        observe: Observer,
        out_of_time: Callable[[], str | None] = lambda: None,
        ledger: Ledger | None = None,
        plan: Callable[[], int] = lambda: 0,
        look: Callable[[], None] = lambda: None,
    ) -> None:
        self._study, self._fidelity, self._space, self._store = study, fidelity, space, store
        self._costs, self._data_fingerprint, self._observe = costs, data_fingerprint, observe
        self._out_of_time, self._plan, self._look = out_of_time, plan, look
        self._objectives = objectives_at(study, fidelity)
        self._grid: Iterator[Point] | None = space.walk() if study.sampler.name == "grid" else None
        self._ready: deque[Job] = deque()
        self._untried: set[str] | None = None
        """Ids of a small space that no trial has met; None before anyone has counted."""
        self._rungs = rungs(fidelity.pruner, fidelity.epochs)
        self.ledger = ledger or Ledger(store, study, fidelity)
        self._originals: dict[tuple[str, int], int] = {}
        for trial in self.ledger.trials.values():
            self._remember(trial)
        # Those whose machine failed go on where `retries` was raised since.
        lost = [t for t in failed(self.ledger.trials.values(), LOST) if t.retries < study.executor.retries]
        plan_retries(self.ledger, lost, keep_count=True)
        self._planned = len(self.ledger.planned())
        self._retention = Retention(
            artifacts,
            kept_weights(study, fidelity),
            self._objectives,
            self.ledger.trials.values(),
            continued=later_continues(study, fidelity),
            needed=partial(weights_needed, store, study.name),
        )
        self.ended: str | None = None
        """Why no further trial is sampled; None while one may be."""
        self._recover()
        self._check_failures()

    # What an executor calls

    def ask(self) -> Job | None:
        """Return the next job; infeasible and duplicate suggestions are settled on the way."""
        while True:
            while not self._ready:
                trial = self._next()
                if trial is None:
                    return None
                self._admit(trial)
            job = self._ready.popleft()
            known = self._store.find(job.task.key)
            if known is None or len(known.history) < self._fidelity.epochs:
                break
            self._reuse(job, known)
        return job

    def report(self, job: Job, epoch: Epoch) -> bool:
        """Store one epoch of the curve and decide whether the trial goes on."""
        curve = self.ledger.report(job.number, epoch)
        fields: dict[str, Value] = {"epoch": epoch.epoch, "of": self._fidelity.epochs, **measured(epoch)}
        self._observe(Event("epoch", job.label, fields=fields))
        if epoch.epoch not in self._rungs:
            return True
        trial, passed = self.ledger.trials[job.number], self._rungs.index(epoch.epoch) + 1
        if passed <= rungs_passed(trial):  # replayed from a checkpoint; the other curves have grown since
            return True
        others = [other for number, other in self.ledger.curves.items() if number != job.number]
        if not goes_on(self._fidelity.pruner, self._fidelity.epochs, curve, others):
            return False
        self.ledger.put(dataclasses.replace(trial, attributes={**trial.attributes, RUNGS_PASSED: passed}))
        return True

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """Record a training that ran to its end, or to the rung that stopped it; then tell Optuna."""
        trial, cost = self.ledger.trials[job.number], self._costs.of(job.task.architecture)
        epochs = len(evaluation.history)
        row = dataclasses.replace(trial, evaluation=evaluation.key.id, epochs=epochs)
        if epochs < self._fidelity.epochs:
            attributes = {**trial.attributes, "rung": self._rungs.index(epochs)}
            row = dataclasses.replace(row, state=State.PRUNED, attributes=attributes)
        else:
            values = values_of(self._objectives, evaluation.last, cost)
            row = dataclasses.replace(row, state=State.COMPLETE, values=values)
        self.ledger.settle(row, evaluation, violation(self._study.constraints, cost))
        self._retention.ended(row, evaluation)
        fields: dict[str, Value] = {**measured(evaluation.last), "epochs": epochs, "seconds": evaluation.seconds}
        self._observe(Event("complete" if row.state is State.COMPLETE else "pruned", job.label, fields=fields))
        self._settle_waiting(row)

    def fail(self, job: Job, failure: TrialFailure) -> None:
        """Store a failure; a trial that lost its worker goes on from its checkpoint while it has retries."""
        trial = self.ledger.trials[job.number]
        if failure.kind == "lost" and trial.retries < self._study.executor.retries:
            self.ledger.put(dataclasses.replace(trial, retries=trial.retries + 1))
            self._observe(Event("lost", job.label, str(failure)))
            self._ready.append(dataclasses.replace(job, resumed=True))
            return
        row = dataclasses.replace(trial, state=State.FAILED, failure=failure.kind, message=str(failure))
        # No record, no curve: a driver that starts anew reads the curves from the records.
        self.ledger.curves.pop(job.number, None)
        self.ledger.settle(row)
        self._retention.failed(job.task.key, failure)
        self._observe(Event("failed", job.label, f"{failure.kind}: {failure}"))
        self._settle_waiting(row)
        self._check_failures()

    def _check_failures(self) -> None:
        """Raise StudyFailed once more trials have failed than the study allows."""
        again = self.ledger.attributes(RETRY_OF)
        too_many = too_many_failures(self._study.stop, self._fidelity.name, self.ledger.trials.values(), again)
        if too_many is not None:
            name = self._study.name
            raise StudyFailed(f"{too_many}; `dcasearch status {name}` says why, `dcasearch retry {name}` tries again")

    def put_back(self, job: Job) -> None:
        """Hand this job out again by and by: its training runs already for someone else."""
        self._ready.append(job)

    # Which trial is next

    def _next(self) -> optuna.trial.Trial | None:
        self._planned += self._plan()
        if self._planned:
            self.ended = self._out_of_time()
            if self.ended is not None:
                return None
            self._planned -= 1
            return self.ledger.optuna.ask()
        if self._fidelity.promote is not None:
            return None
        self.ended = self._why_ended()
        if self.ended is not None:
            return None
        unusable, drawn = self._unusable_in_a_row()
        if unusable >= REPEATS_BEFORE_COUNTING and self._used_up():
            self.ended = "the space is used up: every architecture was tried"
            return None
        if self._grid is not None or unusable >= (UNUSABLE_AFTER_A_DRAW if drawn else UNUSABLE_IN_A_ROW):
            point = self._unvisited()
            if point is None:
                self.ended = "the space is used up: every feasible architecture was tried"
                return None
            self.ledger.enqueue(point.params, origin="sampled" if self._grid is not None else "random")
        return self.ledger.optuna.ask()

    def _why_ended(self) -> str | None:
        if self.ended is not None:
            return self.ended
        trials = [self.ledger.trials[number] for number in sorted(self.ledger.trials)]
        again = retried(trials)
        used = sum(_uses_budget(trial) and trial.number not in again for trial in trials)
        if self._fidelity.trials is not None and used >= self._fidelity.trials:
            return f"{self._fidelity.trials} trials are done"
        stop, objectives = self._study.stop, self._objectives
        reached = None if self._fidelity.kind == "zero_cost" else target_reached(stop, trials, objectives)
        ended = reached or no_improvement(stop, trials, objectives)
        return ended or self._out_of_time()

    def _unusable_in_a_row(self) -> tuple[int, bool]:
        """Return how many of the last suggestions were of no use, and whether a random draw came before them."""
        run = 0
        for number in sorted(self.ledger.trials, reverse=True):
            trial = self.ledger.trials[number]
            if _uses_budget(trial):
                return run, trial.origin == "random"
            run += 1
        return run, False

    def _used_up(self) -> bool:
        """Return whether a small space holds nothing that was not tried; of a large one nobody can say."""
        if self._study.on_duplicate == "new_seed":
            return False
        if self._untried is None:
            self._untried = architectures(self._space, self._look)
        if self._untried is None:
            return False
        self._untried -= self._visited()
        return not self._untried

    def _visited(self) -> set[str]:
        return {trial.architecture_id for trial in self.ledger.trials.values()}

    def _unvisited(self) -> Point | None:
        visited = self._visited()
        if self._grid is not None:
            return next((point for point in self._grid if point.architecture.id not in visited), None)
        seed = f"{self._study.sampler.seed} unvisited {len(self.ledger.trials)}"
        return draw_unvisited(
            self._space, visited, lambda point: not self._violated(point.architecture), seed, self._look
        )

    # What becomes of a suggestion

    def _admit(self, suggested: optuna.trial.Trial) -> None:
        """Draw a trial's parameters and settle it, or make it a job."""
        point = self._space.sample(suggested.suggest_categorical)
        architecture = point.architecture
        attributes = suggested.user_attrs
        origin: Origin = attributes.get("origin", "sampled")
        first_seed = int(attributes.get("seed", self._fidelity.seeds[0]))
        original = self._originals.get((architecture.id, first_seed))
        if RETRY_OF in attributes and original is not None and self.ledger.trials[original].state is State.FAILED:
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
        violated = self._violated(architecture)
        if violated:
            row = dataclasses.replace(trial, state=State.INFEASIBLE, constraint=violated)
            self.ledger.settle(row, violation=violation(self._study.constraints, cost))
            self._observe(Event("infeasible", self._label(trial.number), violated))
            return
        original = self._originals.get((trial.architecture_id, trial.seed))
        if original is not None and original != trial.number:
            self._admit_duplicate(trial, self.ledger.trials[original])
            return
        self._store.put_architecture(architecture)
        self.ledger.annotate(trial.number, architecture=trial.architecture_id, params=cost.params, macs=cost.macs)
        self.ledger.put(trial)
        self._remember(trial)
        self._start(trial, architecture, resumed=False)

    def _seed(self, architecture_id: str, seed: int) -> int:
        """Return the trial's seed; under `on_duplicate: new_seed` a network met again gets the next free one."""
        if self._study.on_duplicate == "new_seed":
            while (architecture_id, seed) in self._originals:
                seed += 1
        return seed

    def _admit_duplicate(self, trial: Trial, original: Trial) -> None:
        row = dataclasses.replace(trial, state=State.WAITING, duplicate_of=original.number)
        if original.state is State.RUNNING:
            self.ledger.put(row)
        else:
            self._replay(row, original)

    def _replay(self, waiting: Trial, original: Trial) -> None:
        row = dataclasses.replace(
            waiting,
            state=State.DUPLICATE,
            evaluation=original.evaluation,
            values=original.values,
            epochs=original.epochs,
            failure=original.failure,
            message=original.message,
        )
        self.ledger.settle(row)
        self._observe(Event("duplicate", self._label(row.number), f"of trial {original.number}"))

    def _settle_waiting(self, original: Trial) -> None:
        """Replay an ended trial for its waiting duplicates; if its machine failed, the first of them takes over."""
        waiting = [
            t for t in self.ledger.trials.values() if t.state is State.WAITING and t.duplicate_of == original.number
        ]
        self._remember(original)
        for trial in sorted(waiting, key=lambda t: t.number):
            if original.failure == "lost":
                # It goes on from the checkpoint of the trial before it, whose rungs it need not pass again.
                attributes = {**trial.attributes, RUNGS_PASSED: rungs_passed(original)}
                original = dataclasses.replace(trial, state=State.RUNNING, duplicate_of=None, attributes=attributes)
                self.ledger.put(original)
                self._remember(original)
                self._start(original, self._architecture(original), resumed=False)
            elif original.state is State.RUNNING:
                self.ledger.put(dataclasses.replace(trial, duplicate_of=original.number))
            else:
                self._replay(trial, original)

    def _start(self, trial: Trial, architecture: Architecture, *, resumed: bool) -> None:
        task = task_of(self._study, self._fidelity, architecture, trial.seed, data_fingerprint=self._data_fingerprint)
        resources = self._study.executor.resources.get(self._fidelity.name, Resources())
        job = Job(
            self._label(trial.number),
            trial.number,
            task,
            resources,
            epoch_seconds=self._study.executor.epoch_seconds,
            resumed=resumed,
            trial=True,
        )
        self._ready.append(job)

    def _reuse(self, job: Job, known: Evaluation) -> None:
        """Take over a record that a baseline, or another study of this database, already made."""
        for epoch in known.history:
            self.ledger.report(job.number, epoch)
        self.finish(job, known)

    # After a driver died

    def _recover(self) -> None:
        """Take up what the last driver left RUNNING, in order."""
        left = {number: trial.state for number, trial in self.ledger.trials.items()}
        for frozen in self.ledger.unfinished():
            trial = self.ledger.trials.get(frozen.number)
            if trial is None:
                self._admit(taken_up(self.ledger.optuna, frozen))
            elif left.get(trial.number) is not trial.state:
                continue  # an earlier duplicate of this loop has settled this one, or made it a job
            elif trial.state is State.WAITING:
                original = self.ledger.trials[trial.duplicate_of or 0]
                if original.state is not State.RUNNING:
                    self._settle_waiting(original)
            elif trial.state is State.RUNNING:
                self._start(trial, self._architecture(trial), resumed=True)
            else:
                cost = self._costs.of(self._architecture(trial))
                self.ledger.tell(trial, violation(self._study.constraints, cost))

    # Small answers

    def _architecture(self, trial: Trial) -> Architecture:
        """Return a trial's own architecture; the one stored under its id may differ in α's first value."""
        return self._space.point(trial.params).architecture

    def _violated(self, architecture: Architecture) -> str:
        """Return the violated constraint in words, or nothing."""
        cost = self._costs.of(architecture)
        for metric, amount in violation(self._study.constraints, cost).items():
            if amount > 0:
                bound = self._study.constraints[metric]
                value = getattr(cost, metric)
                limit, sign = (bound.max, ">") if bound.max is not None and value > bound.max else (bound.min, "<")
                return f"{metric} {value:,} {sign} {limit:,.0f}"
        return ""

    def _remember(self, trial: Trial) -> None:
        """Make a trial the original of its (architecture, seed), unless its machine failed."""
        key = (trial.architecture_id, trial.seed)
        if trial.state in (State.RUNNING, State.COMPLETE, State.PRUNED) or trial.failure not in (None, "lost"):
            if trial.duplicate_of is None:
                self._originals[key] = trial.number
        elif trial.failure == "lost" and self._originals.get(key) == trial.number:
            del self._originals[key]

    def _label(self, number: int) -> str:
        return f"{self._fidelity.name} trial {number}"


def _uses_budget(trial: Trial) -> bool:
    """Infeasible and duplicate trials cost nothing and do not count."""
    return trial.state in (State.RUNNING, State.COMPLETE, State.PRUNED, State.FAILED)
