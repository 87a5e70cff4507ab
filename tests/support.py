"""What several rooms' tests share: a tiny study, and an executor that trains nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dcasearch.config.study import Study
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.pipeline import Pipeline
from dcasearch.search.work import Job, Work

SPACE: dict[str, Any] = {
    "backbone": {"name": "resnet18", "stem": "small"},
    "attention": {"name": "se", "reduction": [8, 16]},
    "connections": {
        "granularity": "stage",
        "dimensions": {"channel": [True, False]},
        "topology": ["chain", "dense"],
        "function": ["direct", "softmax"],
    },
}


def make_study(**changes: Any) -> Study:
    """A study of one fidelity on digits; nothing in it costs anything under `Simulated`."""
    written: dict[str, Any] = {
        "name": "tiny",
        "space": SPACE,
        "data": {"name": "digits"},
        "sampler": {"name": "random", "seed": 0},
        "fidelities": [{"name": "proxy", "trials": 5, "resolution": 16, "epochs": 4}],
        "baselines": False,
        **changes,
    }
    return Study.model_validate(written)


def accuracy(job: Job, epoch: int) -> float:
    """A made-up top-1 that depends on the architecture and the seed, and rises with the epochs."""
    text = f"{job.assignment.architecture.id} {job.assignment.seed}"
    level = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF
    return 50.0 + 40.0 * level + epoch


def make_epoch(job: Job, epoch: int) -> Epoch:
    top1 = accuracy(job, epoch)
    if job.assignment.fidelity.kind == "zero_cost":
        return Epoch.of_score(top1, 0.0, "cpu")
    values = {"loss": 100.0 - top1, "top1": top1, "top5": 100.0}
    further = dict.fromkeys(job.assignment.metrics, 100.0 - top1)  # so that its best is not the best by top-1
    return Epoch(epoch=epoch, train_loss=1.0, values=values | further, seconds=0.0)


def with_top1(epoch: Epoch, top1: float) -> Epoch:
    return dataclasses.replace(epoch, values={**epoch.values, "top1": top1})


def dead_process() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


class DriverDied(Exception):
    """Stands for kill -9: raised out of the executor at a chosen call."""


@dataclass
class Simulated:
    """Runs jobs one after another in this process, with made-up accuracies.

    `die_at` counts the calls into the work (ask, report, finish) and raises `DriverDied` before that one.
    """

    die_at: int | None = None
    fail: Callable[[Job], TrialFailure | None] = lambda job: None
    calls: int = 0
    ran: list[Job] = field(default_factory=list)

    def _tick(self) -> None:
        self.calls += 1
        if self.calls == self.die_at:
            raise DriverDied

    def run(self, work: Work) -> None:
        while True:
            self._tick()
            job = work.ask()
            if job is None and isinstance(work, Pipeline) and work.waits():  # some tests run one source
                time.sleep(0.01)
                continue
            if job is None:
                return
            if isinstance(work, Pipeline):
                work.started(job)
            self.ran.append(job)
            self._train(work, job)

    def _train(self, work: Work, job: Job) -> None:
        failure = self.fail(job)
        if failure is not None:
            work.fail(job, failure)
            return
        history: list[Epoch] = []
        for number in range(1, job.assignment.fidelity.epochs + 1):
            history.append(make_epoch(job, number))
            self._tick()
            if not work.report(job, history[-1]):
                break
        self._tick()
        work.finish(job, make_evaluation(job, tuple(history)))


def make_evaluation(job: Job, history: tuple[Epoch, ...]) -> Evaluation:
    return Evaluation(key=job.assignment.key, history=history, seconds=0.0, images=10, device="cpu")
