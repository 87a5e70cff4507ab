"""One worker process: takes jobs from a pipe, trains, reports every epoch and waits for the answer.

It holds no database. It ignores Ctrl-C, which reaches every process of a terminal (the driver ends it), and
ends itself when its driver is gone.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TypeAlias

from dcasearch.errors import FailureKind, TrialFailure, UserError
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.search.work import Job
from dcasearch.training import evaluate


@dataclass(frozen=True)
class Failed:
    """A job that raised; the exception's traceback is in the worker's log."""

    kind: FailureKind
    message: str


Message: TypeAlias = Epoch | Evaluation | Failed | UserError
"""What a worker sends. After an Epoch it waits for a bool: whether to go on. A UserError (the data is broken, the
disk is full) is nobody's trial's fault and stops the run."""


def main(pipe: Connection, artifacts: Path) -> None:
    """Serve jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()

    def report(epoch: Epoch) -> bool:
        pipe.send(epoch)
        return bool(pipe.recv())

    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        try:
            answer: Message = evaluate(job.task, artifacts=artifacts, report=report, threads=job.resources.cpu)
        except TrialFailure as failure:
            answer = Failed(failure.kind, str(failure))
        except UserError as error:
            answer = error
        pipe.send(answer)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is None:
        raise RuntimeError("a worker is started by a driver")

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
