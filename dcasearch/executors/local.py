"""Jobs in worker processes of this machine; a worker that dies costs its job one retry, not the study."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from dcasearch.artifacts import Place
from dcasearch.errors import Interrupted, TrialFailure, UserError
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.executors.worker import Failed, WorkerMessage, main
from dcasearch.processes import without_secrets
from dcasearch.search.work import ATTEND_SECONDS, Job, Work, too_slow

_POLL_SECONDS = 0.2
"""How long an interruption may go unseen."""
GRACE_SECONDS = 30.0
"""What a worker has to end its step and write its checkpoint."""


class _Worker:
    """One process and the job it runs."""

    def __init__(self, artifacts: Place, secret: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=main, args=(theirs, artifacts))
        with without_secrets(secret), _without_ctrl_c():
            self.process.start()
        theirs.close()
        self.job: Job | None = None
        self._heard = 0.0

    def start(self, job: Job) -> None:
        """Hand over a job. A worker that is dead already is noticed by `message`."""
        self.job = job
        self._heard = time.monotonic()
        self.send(job)

    @property
    def hangs(self) -> bool:
        """Whether its job's epoch takes longer than it may."""
        limit = None if self.job is None else self.job.epoch_seconds
        return limit is not None and time.monotonic() - self._heard > limit

    @property
    def died(self) -> bool:
        """Whether the process has ended and left nothing to be read.

        The pipe alone says so late: processes that load images for it hold its other end, and outlive it a little.
        """
        return not self.process.is_alive() and not self.pipe.poll()

    def send(self, answer: Job | bool) -> None:
        try:
            self.pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return  # the pipe is readable at once and `message` says how the process ended

    def message(self) -> WorkerMessage | TrialFailure:
        """Return what the worker sent, or the failure if it died instead."""
        self._heard = time.monotonic()
        try:
            received: WorkerMessage = self.pipe.recv()
            return received
        except (EOFError, OSError):  # OSError: it died in the middle of a message
            return self.lost()

    def lost(self) -> TrialFailure:
        """Return what the death of the process means to its job."""
        self.process.join()
        return TrialFailure("lost", f"its worker process ended with exit code {self.process.exitcode}")

    def kill(self) -> None:
        """End the process at once; its last checkpoint stays."""
        self.process.kill()
        self.process.join()
        self.pipe.close()

    def stop(self, seconds: float) -> None:
        """Wait for the end of a process that was told to end, but not for longer; its checkpoint stays."""
        self.process.join(timeout=max(0.0, seconds))
        self.kill()


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Let a process that is started here inherit a blocked SIGINT: it meets Ctrl-C even before it can ignore it."""
    resource_tracker.ensure_running()  # its start, with the first process, would end by unblocking SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class LocalExecutor:
    """Runs jobs in up to `max_concurrent` worker processes, which are kept between jobs.

    Use as a context manager: leaving it ends the workers.
    """

    def __init__(
        self,
        artifacts: Place,
        max_concurrent: int,
        interrupted: threading.Event | None = None,
        secret: str | None = None,
    ) -> None:
        """Make an executor whose workers do not inherit the storage's URL, nor any variable with its password."""
        self._artifacts, self._secret = artifacts, secret
        self._max_concurrent = max_concurrent
        self._interrupted = interrupted or threading.Event()
        self._workers: list[_Worker] = []

    @contextmanager
    def open(self) -> Iterator[LocalExecutor]:
        """End every worker on the way out, whatever happened."""
        try:
            yield self
        finally:
            self._dismiss(list(self._workers))

    def run(self, work: Work) -> None:
        """Run a work to its end; what still runs when it ends early writes a checkpoint and ends too.

        Raises:
            UserError: what stops every trial: broken data, a full disk; the job is asked for again by the next run.
            Interrupted: `interrupted` was set; jobs that were running are asked for again by the next run.
        """
        try:
            self._run(work)
        finally:
            # None after a run that came to its end. Kept, they would wait for an answer to their last epoch for ever.
            self._dismiss([worker for worker, _ in self._busy()])

    def _run(self, work: Work) -> None:
        attended = time.monotonic()
        while not self._interrupted.is_set():
            if time.monotonic() - attended >= ATTEND_SECONDS:
                cancelled = [(job.source, job.number) for job in work.attend()]
                for worker, job in self._busy():
                    if (job.source, job.number) in cancelled:
                        self._end(work, worker, job, TrialFailure("cancelled", "by `dcasearch cancel`"))
                attended = time.monotonic()
            self._fill(work)
            busy = {worker.pipe: worker for worker, _ in self._busy()}
            if not busy:
                if not work.waits():
                    return
                self._interrupted.wait(_POLL_SECONDS)
            for pipe in wait(list(busy), timeout=_POLL_SECONDS):
                self._handle(work, busy[pipe])  # type: ignore[index]  # only connections were waited for
            for worker, job in self._busy():
                if worker.died:
                    self._end(work, worker, job, worker.lost())
                elif worker.hangs:
                    self._end(work, worker, job, too_slow(job))
        raise Interrupted("interrupted")

    def _dismiss(self, workers: list[_Worker]) -> None:
        """End workers, giving those that train the time to write a checkpoint."""
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.stop(deadline - time.monotonic())
            self._workers.remove(worker)

    def _fill(self, work: Work) -> None:
        while sum(worker.job is not None for worker in self._workers) < self._max_concurrent:
            job = work.ask()
            if job is None:
                return
            self._idle_worker().start(job)
            work.started(job)

    def _busy(self) -> list[tuple[_Worker, Job]]:
        return [(worker, worker.job) for worker in self._workers if worker.job is not None]

    def _end(self, work: Work, worker: _Worker, job: Job, failure: TrialFailure) -> None:
        """End a worker whose job is of no use any more, without waiting for it."""
        self._workers.remove(worker)
        worker.kill()
        work.fail(job, failure)

    def _idle_worker(self) -> _Worker:
        for worker in self._workers:
            if worker.job is None and worker.process.is_alive():
                return worker
        self._workers.append(_Worker(self._artifacts, self._secret))
        return self._workers[-1]

    def _handle(self, work: Work, worker: _Worker) -> None:
        job, message = worker.job, worker.message()
        if job is None:
            raise RuntimeError("a worker without a job has sent a message")
        if isinstance(message, Epoch):
            worker.send(work.report(job, message))
            return
        worker.job = None
        if isinstance(message, Evaluation):
            work.finish(job, message)
        elif isinstance(message, Failed):
            if message.kind == "lost":  # its device may be of no use to this process any more; a new one finds out
                self._workers.remove(worker)
                worker.kill()
            work.fail(job, TrialFailure(message.kind, message.message))
        elif isinstance(message, UserError):
            raise message
        else:
            self._workers.remove(worker)
            worker.pipe.close()
            work.fail(job, message)
