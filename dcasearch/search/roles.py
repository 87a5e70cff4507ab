"""Trainings that no sampler asks for: the baselines of each fidelity, and the final ones on the test split."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Literal

from dcasearch.architecture import Architecture
from dcasearch.artifacts import Place
from dcasearch.assignment import Assignment
from dcasearch.config.study import Fidelity, Resources, Study
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation, EvaluationProtocol
from dcasearch.search.assignments import assignment_of
from dcasearch.search.attempts import Attempts
from dcasearch.search.leaders import Leaders
from dcasearch.search.objectives import headline_at, measured
from dcasearch.search.retention import discard_failed
from dcasearch.search.work import Job, Observer, epoch_event, event_of
from dcasearch.store import Store
from dcasearch.training import discard, later_continues
from dcasearch.trial import Role, shown_as


class Roles:
    """A fixed list of trainings, as a source of jobs (see `dcasearch.search.work.Work`); none is ever pruned."""

    def __init__(
        self,
        *,
        study: Study,
        fidelity: Fidelity,
        role: Literal["baseline", "final"],
        candidates: Iterable[tuple[str, Architecture]],
        seeds: Iterable[int],
        protocol: EvaluationProtocol,
        store: Store,
        data_fingerprint: str,
        artifacts: Place,
        observe: Observer,
        out_of_time: Callable[[], str | None] = lambda: None,
        split_fingerprints: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        """Make a job of each training that has not ended.

        `split_fingerprints` are those of the data of final trainings, by seed, where they are not `data_fingerprint`.
        """
        self._out_of_time = out_of_time
        self._study, self._store, self._observe, self._artifacts = study, store, observe, artifacts
        self._headline = headline_at(study, fidelity)
        self._leaders = Leaders({self._headline.name: self._headline.direction or "maximize"})
        self._continued = role == "baseline" and later_continues(study, fidelity)
        self._roles: dict[int, Role] = {}
        self._ready: deque[Job] = deque()
        self._attempts = Attempts(study.executor.retries, observe)
        known = {(r.role, r.fidelity, r.name, r.architecture_id, r.seed): r for r in store.roles(study.name)}
        for number, (seed, (name, architecture)) in enumerate((s, c) for s in seeds for c in candidates):
            role_key = (role, fidelity.name, name, architecture.id, seed)
            assignment = assignment_of(
                study,
                fidelity,
                architecture,
                seed,
                data_fingerprint=split_fingerprints.get(seed, data_fingerprint),
                protocol=protocol,
                data=study.data_of_final(seed) if role == "final" else None,
            )
            entry = known.get(role_key) or _new(study.name, *role_key)
            if entry.failure == "lost":  # its machine's fault, which may be mended by now
                entry = dataclasses.replace(entry, failure=None, message="")
            if entry.evaluation is not None or entry.failure is not None:
                continue
            store.put_architecture(architecture)
            store.put_role(entry)
            self._roles[number] = entry
            several = role == "final" or len(fidelity.seeds) > 1
            self._ready.append(self._job(number, entry, assignment, several=several, resumed=role_key in known))

    def _job(self, number: int, entry: Role, assignment: Assignment, *, several: bool, resumed: bool) -> Job:
        executor = self._study.executor
        label = f"{entry.fidelity} {entry.role} {shown_as(entry.name)}" + (f" seed {entry.seed}" if several else "")
        return Job(
            label=label,
            number=number,
            assignment=assignment,
            resources=executor.resources.get(entry.fidelity, Resources()),
            epoch_seconds=executor.epoch_seconds,
            resumed=resumed,
        )

    def ask(self) -> Job | None:
        """Return the next training, while there is time; one whose record exists is settled on the way."""
        while self._ready and self._out_of_time() is None:
            job = self._ready.popleft()
            record = self._store.find(job.assignment.key)
            if record is not None and len(record.history) == job.assignment.fidelity.epochs:
                self.finish(job, record)
                continue
            return job
        return None

    def report(self, job: Job, epoch: Epoch) -> bool:
        """Say what the epoch measured; these trainings always go on."""
        self._observe(epoch_event(job, epoch, self._headline))
        return True

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """Store the record."""
        self._store.record(evaluation)
        self._store.put_role(dataclasses.replace(self._roles[job.number], evaluation=evaluation.key.id))
        if not self._continued:
            discard(evaluation.key, self._artifacts)
        fields = {
            **measured(evaluation.last, self._headline),
            "epochs": len(evaluation.history),
            "seconds": evaluation.seconds,
        }
        self._observe(event_of("complete", job, fields=fields))
        for leader in self._leaders.take(job.label, job.assignment.architecture, fields):
            self._observe(leader)

    def fail(self, job: Job, failure: TrialFailure) -> None:
        """Store the failure; the study goes on without this baseline."""
        again = self._attempts.again(job, failure)
        if again is not None:
            self._ready.append(again)
            return
        failed = dataclasses.replace(self._roles[job.number], failure=failure.kind, message=str(failure))
        self._store.put_role(failed)
        discard_failed(job.assignment.key, failure, self._artifacts)
        self._observe(event_of("failed", job, f"{failure.kind}: {failure}"))

    def put_back(self, job: Job) -> None:
        """Hand this job out again by and by: its training runs already for someone else."""
        self._ready.append(job)


def _new(
    study: str, role: Literal["baseline", "final"], fidelity: str, name: str, architecture_id: str, seed: int
) -> Role:
    return Role(study=study, fidelity=fidelity, role=role, name=name, architecture_id=architecture_id, seed=seed)


def release_moved(store: Store, study: str, split_fingerprints: Mapping[int, str]) -> None:
    """Let final trainings be planned anew whose seed has moved to another split, since `splits` was changed.

    Their records stay, so a seed that moves back is not trained again.

    Args:
        store: the database.
        study: its name.
        split_fingerprints: by seed, of the data that the final trainings are to have.
    """
    for role in store.roles(study):
        if role.role != "final" or role.evaluation is None or role.seed not in split_fingerprints:
            continue
        if store.evaluation(role.evaluation).key.data != split_fingerprints[role.seed]:
            store.put_role(dataclasses.replace(role, evaluation=None))
