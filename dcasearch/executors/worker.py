"""One worker process: takes jobs from a pipe, trains, reports every epoch and waits for the answer.

It holds no database. It ignores Ctrl-C, which reaches every process of a terminal (the driver ends it), on
SIGTERM writes a checkpoint of the very step and ends, and ends itself when its driver is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import NoReturn, TypeAlias

from dcasearch.artifacts import Place
from dcasearch.errors import FailureKind, Preempted, TrialFailure, UserError
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.masking import mask_logs
from dcasearch.processes import ignore_settings_here
from dcasearch.search.work import Job
from dcasearch.training import evaluate


@dataclass(frozen=True)
class Failed:
    """A job that raised; the exception's traceback is in the worker's log."""

    kind: FailureKind
    message: str


WorkerMessage: TypeAlias = Epoch | Evaluation | Failed | UserError
"""What a worker sends. After an Epoch it waits for a bool: whether to go on. A UserError (the data is broken, the
disk is full) is nobody's trial's fault and stops the run."""


class _Termination:
    """SIGTERM: noted while a training runs, which then gives way; the end at once where the process only waits."""

    def __init__(self) -> None:
        self.noted = self._waits = False
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.noted = True
        if self._waits:
            self.end()

    def end(self) -> NoReturn:
        """End the process."""
        sys.exit(128 + signal.SIGTERM)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Enclose what may be left at any moment."""
        self._waits = True
        try:
            if self.noted:
                self.end()
            yield
        finally:
            self._waits = False


def main(pipe: Connection, artifacts: Place) -> None:
    """Serve jobs until the pipe closes, by whatever error: its other end is the driver's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    termination = _Termination()
    end_with_parent()
    ignore_settings_here()
    mask_logs()
    with suppress(EOFError, ConnectionError):  # the second where a driver was killed before it had read everything
        _serve(pipe, artifacts, termination)


def _serve(pipe: Connection, artifacts: Place, termination: _Termination) -> NoReturn:
    def report(epoch: Epoch) -> bool:
        with termination.at_once():
            pipe.send(epoch)
            return bool(pipe.recv())

    while True:
        with termination.at_once():
            job: Job = pipe.recv()
        try:
            answer: WorkerMessage = evaluate(
                job.assignment,
                artifacts=artifacts,
                report=report,
                threads=job.resources.cpu,
                interrupted=lambda: termination.noted,
            )
        except TrialFailure as failure:
            answer = Failed(failure.kind, str(failure))
        except UserError as error:
            answer = error
        except Preempted:
            termination.end()
        pipe.send(answer)


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, however that ended."""
    parent = parent_process()
    if parent is None:
        raise RuntimeError("a worker is started by a driver")

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
