"""A work that is a list of tasks, and trainings that go wrong on purpose."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from dcasearch.config.study import Resources
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.search.work import Job
from dcasearch.training import Task
from tests.training.support import make_task


@dataclass
class Listed:
    """A work: a list of tasks, and what became of each."""

    tasks: list[Task]
    on_epoch: Callable[[Job, Epoch], bool] = lambda job, epoch: True
    retries: int = 1
    epochs: list[tuple[int, int, float]] = field(default_factory=list)
    """(job, epoch, when it was reported)."""
    finished: dict[int, Evaluation] = field(default_factory=dict)
    failures: list[tuple[int, TrialFailure]] = field(default_factory=list)
    running: list[Job] = field(default_factory=list)
    cancel: Callable[[], list[Job]] = list

    def __post_init__(self) -> None:
        self.ready = [Job(f"job {n}", n, task, Resources()) for n, task in enumerate(self.tasks)]

    def limit(self, number: int, seconds: float) -> None:
        """Give one job a time limit per epoch."""
        self.ready[number] = dataclasses.replace(self.ready[number], epoch_seconds=seconds)

    def ask(self) -> Job | None:
        if not self.ready:
            return None
        self.running.append(self.ready.pop(0))
        return self.running[-1]

    def report(self, job: Job, epoch: Epoch) -> bool:
        self.epochs.append((job.number, epoch.epoch, time.monotonic()))
        return self.on_epoch(job, epoch)

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        self.finished[job.number] = evaluation
        self.running.remove(job)

    def attend(self) -> list[Job]:
        return self.cancel()

    def fail(self, job: Job, failure: TrialFailure) -> None:
        self.failures.append((job.number, failure))
        self.running.remove(job)
        if failure.kind == "lost" and len(self.failures) <= self.retries:
            self.ready.append(job)


@dataclass(frozen=True, kw_only=True)
class Faulty(Task):
    """Goes wrong in whichever process trains it; in the process that made it, it is a task like any other."""

    fault: Literal["raise", "oom", "hang", "die"]
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
    os._exit(9)


def faulty(fault: Literal["raise", "oom", "hang", "die"], **changes: Any) -> Faulty:
    return Faulty(**vars(make_task(**changes)), fault=fault, maker=os.getpid())
