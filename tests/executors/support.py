"""A work that is a list of assignments, and trainings that go wrong on purpose."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import psutil

from dcasearch.config.study import Resources
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.search.work import Job
from dcasearch.training import Assignment, evaluate
from tests.training.support import make_assignment


@dataclass
class Listed:
    """A work: a list of assignments, and what became of each."""

    assignments: list[Assignment]
    on_epoch: Callable[[Job, Epoch], bool] = lambda job, epoch: True
    retries: int = 1
    epochs: list[tuple[int, int, float]] = field(default_factory=list)
    """(job, epoch, when it was reported)."""
    finished: dict[int, Evaluation] = field(default_factory=dict)
    failures: list[tuple[int, TrialFailure]] = field(default_factory=list)
    running: list[Job] = field(default_factory=list)
    placed: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cancel: Callable[[], list[Job]] = list
    later: float | None = None
    """When jobs come, on the monotonic clock: until then another driver holds them."""

    def __post_init__(self) -> None:
        self.ready = [
            Job(label=f"job {n}", number=n, assignment=assignment, resources=Resources())
            for n, assignment in enumerate(self.assignments)
        ]

    def limit(self, number: int, seconds: float) -> None:
        """Give one job a time limit per epoch."""
        self.ready[number] = dataclasses.replace(self.ready[number], epoch_seconds=seconds)

    def ask(self) -> Job | None:
        if not self.ready or self.waits():
            return None
        self.running.append(self.ready.pop(0))
        return self.running[-1]

    def started(self, job: Job) -> None:
        self.placed.append(job.number)

    def put_back(self, job: Job) -> None:
        self.running.remove(job)
        self.ready.append(dataclasses.replace(job, resumed=True))

    def note(self, message: str) -> None:
        self.notes.append(message)

    def report(self, job: Job, epoch: Epoch) -> bool:
        self.epochs.append((job.number, epoch.epoch, time.monotonic()))
        return self.on_epoch(job, epoch)

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        self.finished[job.number] = evaluation
        self.running.remove(job)

    def waits(self) -> bool:
        return self.later is not None and time.monotonic() < self.later

    def attend(self) -> list[Job]:
        return self.cancel()

    def fail(self, job: Job, failure: TrialFailure) -> None:
        self.failures.append((job.number, failure))
        self.running.remove(job)
        if failure.kind == "lost" and len(self.failures) <= self.retries:
            self.ready.append(job)


@dataclass
class Meeting:
    """Ends the jobs of a work once all of them have reported; waits for that, however slow the machine is.

    Jobs that run one after the other never meet: after so many seconds each ends alone.
    """

    jobs: int
    seconds: float = 120.0
    met: set[int] = field(default_factory=set)
    alone: set[int] = field(default_factory=set)
    """Jobs that ended before all others had reported."""

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.seconds

    def on_epoch(self, job: Job, epoch: Epoch) -> bool:
        self.met.add(job.number)
        if len(self.met) == self.jobs:
            return False
        if time.monotonic() < self._deadline:
            return True
        self.alone.add(job.number)
        return False


Fault: TypeAlias = Literal["raise", "oom", "hang", "die", "orphan"]
ORPHAN = "DCASEARCH_TEST_ORPHAN"
"""The variable that names the file into which the fault `orphan` writes what it leaves behind."""


@dataclass(frozen=True, kw_only=True)
class Faulty(Assignment):
    """Goes wrong in whichever process trains it; in the process that made it, it is an assignment like any other."""

    fault: Fault
    maker: int

    @property
    def key(self) -> EvaluationKey:
        if os.getpid() != self.maker:
            go_wrong(self.fault)
        return super().key


def go_wrong(fault: str) -> None:
    if fault == "raise":
        raise RuntimeError("on purpose")
    if fault == "oom":
        raise MemoryError("simulated")
    if fault == "hang":
        time.sleep(3600)
    if fault == "orphan":
        if (child := os.fork()) == 0:
            time.sleep(3600)
        Path(os.environ[ORPHAN]).write_text(str(child))
    os._exit(9)


def faulty(fault: Fault, **changes: Any) -> Faulty:
    return Faulty(**vars(make_assignment(**changes)), fault=fault, maker=os.getpid())


class InProcess:
    """An executor that trains in this very process, one job after another: the simplest there can be."""

    def __init__(self, artifacts: Path) -> None:
        self.artifacts = artifacts

    def run(self, work: Any) -> None:
        while (job := work.ask()) is not None:
            work.started(job)
            try:
                record = evaluate(
                    job.assignment,
                    artifacts=self.artifacts,
                    report=lambda epoch, job=job: work.report(job, epoch),
                    threads=1,
                    device="cpu",
                )
            except TrialFailure as failure:
                work.fail(job, failure)
            else:
                work.finish(job, record)


def training_actors(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those of these processes that serve as Tune trials; Ray writes into its workers' titles what they do."""
    return [p for p in family if _title(p).startswith("ray::") and _is_trial(_title(p))]


def _is_trial(title: str) -> bool:
    # The class between two calls, and what Tune wraps it in while a call runs.
    return "TrainingActor" in title or "ResourceTrainable" in title


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return ""
