"""Trainings that wait for their vanilla parent: it is trained first, once.

A training starts from its parent (`initialize: vanilla`), or measures its constant messages in the parent
(`message: constant`).
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable

from dcasearch.architecture import Architecture
from dcasearch.artifacts import Place
from dcasearch.config.study import Fidelity, Resources, Study
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.search.attempts import Attempts
from dcasearch.search.objectives import measured
from dcasearch.search.retention import discard_failed
from dcasearch.search.work import Job, Observer, Source, epoch_event, event_of
from dcasearch.store import Store
from dcasearch.training import Assignment, discard, weights_path
from dcasearch.trial import Role


class WithParents:
    """A source of jobs, each handed out once the weights of its parent are stored, if it has one.

    A parent is no trial: its record is shared by every study of the database, and its row in this study's ledger says
    what the study has spent on it. At most `executor.max_concurrent` jobs wait, so that a sampler is not asked for
    trials which it would suggest better once others have ended.
    """

    def __init__(
        self,
        source: Source,
        *,
        study: Study,
        fidelity: Fidelity,
        known: Iterable[tuple[str, Architecture]],
        store: Store,
        artifacts: Place,
        observe: Observer,
    ) -> None:
        """Wrap a source.

        Args:
            source: whose assignments have parents.
            study: the study.
            fidelity: of all its jobs.
            known: names of architectures; a parent that is none of them is called after its id.
            store: the database.
            artifacts: where parents' weights lie.
            observe: is told what happens.
        """
        self.source = source
        self._study, self._fidelity, self._store = study, fidelity, store
        self._artifacts, self._observe = artifacts, observe
        self._names = {architecture.id: name for name, architecture in known}
        self._held: dict[EvaluationKey, list[Job]] = {}
        self._ready: deque[Job] = deque()
        self._rows: dict[int, Role] = {}
        """Of the parents' jobs, whose numbers are negative: those of the source's are not."""
        self._attempts = Attempts(study.executor.retries, observe)

    def ask(self) -> Job | None:
        """Return the next job, or the parent that it waits for."""
        while True:
            while self._ready:
                job = self._ready.popleft()
                if job.number >= 0 or not self._settled(job):
                    return job
            if sum(map(len, self._held.values())) >= self._study.executor.max_concurrent:
                return None
            asked = self.source.ask()
            if asked is None:
                return None
            self._admit(asked)

    def _admit(self, job: Job) -> None:
        """Make a job ready, or hold it and make its parent ready."""
        parent = job.assignment.parent
        if parent is None:
            self._ready.append(job)
        elif parent.key in self._held:
            self._held[parent.key].append(job)
        else:
            self._held[parent.key] = [job]
            self._ready.append(self._job_of(parent, job))

    def _job_of(self, parent: Assignment, child: Job) -> Job:
        id = parent.architecture.id
        row = Role(
            study=self._study.name,
            fidelity=self._fidelity.name,
            role="parent",
            name=self._names.get(id, f"vanilla {id}"),
            architecture_id=id,
            seed=parent.seed,
        )
        stored = next((r for r in self._store.roles(row.study) if _same(r, row)), row)
        number = -1 - len(self._rows)
        self._rows[number] = stored
        several = parent.seed != self._fidelity.seeds[0] or len(self._fidelity.seeds) > 1
        label = f"{self._fidelity.name} parent {row.name}" + (f" seed {parent.seed}" if several else "")
        resources = self._study.executor.resources.get(self._fidelity.name, Resources())
        return Job(
            label=label,
            number=number,
            assignment=parent,
            resources=resources,
            epoch_seconds=child.epoch_seconds,
            resumed=stored is not row,
        )

    def _settled(self, job: Job) -> bool:
        """Return whether a parent need not be trained: its weights are there, or it failed before."""
        row = self._rows[job.number]
        if row.failure is not None:
            self._give_up(job, TrialFailure(row.failure, row.message))
            return True
        record = self._store.find(job.assignment.key)
        if record is not None and record.weights is not None and self._weights_of(job).exists():
            self._over(job, record)
            return True
        self._store.put_architecture(job.assignment.architecture)
        self._store.put_role(row)
        return False

    def report(self, job: Job, epoch: Epoch) -> bool:
        """Pass an epoch on; parents are never pruned."""
        if job.number >= 0:
            return self.source.report(job, epoch)
        self._observe(epoch_event(job, epoch, self._study.headline))
        return True

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """Store a parent's record and let those go that wait for it."""
        if job.number >= 0:
            self.source.finish(job, evaluation)
            return
        record = self._store.record(evaluation)
        self._over(job, record)
        discard(evaluation.key, self._artifacts)
        fields = {
            **measured(record.last, self._study.headline),
            "epochs": len(record.history),
            "seconds": record.seconds,
        }
        self._observe(event_of("complete", job, fields=fields))

    def _over(self, job: Job, record: Evaluation) -> None:
        self._store.put_architecture(job.assignment.architecture)
        self._rows[job.number] = dataclasses.replace(self._rows[job.number], evaluation=record.key.id)
        self._store.put_role(self._rows[job.number])
        for held in self._held.pop(job.assignment.key):
            assignment = dataclasses.replace(held.assignment, parent_sha256=record.weights_sha256)
            self._ready.append(dataclasses.replace(held, assignment=assignment))

    def fail(self, job: Job, failure: TrialFailure) -> None:
        """Try a parent again that lost its worker; else its children fail as it did."""
        if job.number >= 0:
            self.source.fail(job, failure)
            return
        again = self._attempts.again(job, failure)
        if again is not None:
            self._ready.append(again)
            return
        if failure.kind != "lost":  # a machine's failure is no property of the parent: the next child tries it again
            row = dataclasses.replace(self._rows[job.number], failure=failure.kind, message=str(failure))
            self._rows[job.number] = row
            self._store.put_role(row)
        discard_failed(job.assignment.key, failure, self._artifacts)
        self._observe(event_of("failed", job, f"{failure.kind}: {failure}"))
        self._give_up(job, failure)

    def _give_up(self, job: Job, failure: TrialFailure) -> None:
        for held in self._held.pop(job.assignment.key):
            self.source.fail(held, TrialFailure(failure.kind, f"its parent {self._rows[job.number].name}: {failure}"))

    def put_back(self, job: Job) -> None:
        """Hand this job out again by and by: its training runs already for someone else."""
        if job.number >= 0:
            self.source.put_back(job)
        else:
            self._ready.append(job)

    def _weights_of(self, job: Job) -> Place:
        return weights_path(self._artifacts, job.assignment.key.id)


def _same(one: Role, other: Role) -> bool:
    return dataclasses.replace(one, evaluation=None, failure=None, message="") == other
