"""The trainable: one process that serves job after job, one epoch a step.

A step returns the record so far, so whenever the driver stops a trial it holds the trial's record already, and the
worker waits between two epochs for the driver's decision. What goes wrong in a training is returned, not raised: the
process stays good for the next job. Only a process that dies loses its job.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType
from typing import Any, TypeAlias

import ray
from ray import tune

from dcasearch.artifacts import open_artifacts
from dcasearch.errors import Preempted, TrialFailure, UserError
from dcasearch.evaluation import Evaluation
from dcasearch.executors.ray.ranks import Group
from dcasearch.executors.ray.signals import Listener
from dcasearch.executors.worker import Failed
from dcasearch.search.work import Job
from dcasearch.training import Scoring, Session, begin

_STDERR = 2  # the descriptor: Ray replaces sys.stderr
GRACE_SECONDS = 25.0
"""From SIGTERM to the end of the process; clusters kill after 30 s."""


@dataclass(frozen=True)
class GaveWay:
    """The checkpoint is written and the job may go on elsewhere."""


class TakenAway(Exception):
    """The process was told to end; the checkpoint is written."""


ActorMessage: TypeAlias = Evaluation | Failed | UserError | GaveWay
"""What a step returns, under `message`: the record up to this epoch, or how the job ended without one."""


@dataclass(frozen=True)
class Ticket:
    """What a worker gets: its job, where artifacts lie, and how the driver can reach it."""

    job: Job
    artifacts: str
    signals: str

    @property
    def id(self) -> str:
        """Names the job among those of the run."""
        return f"{self.job.source} {self.job.number}"

    def __str__(self) -> str:
        return self.job.label


class TrainingActor(tune.Trainable):
    """Serves the job of its ticket; reused for the next one."""

    def setup(self, config: dict[str, Any]) -> None:
        """Take the first job."""
        self._terminated = threading.Event()
        self._busy = False
        signal.signal(signal.SIGTERM, self._on_sigterm)
        self._listener: Listener | None = None
        self._take(config["ticket"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next job."""
        self._open.close()
        self._take(new_config["ticket"])
        return True

    def _take(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._training: Session | Scoring | None = None
        self._open = ExitStack()
        if self._listener is None or self._listener.name != ticket.signals:
            self._listener = Listener(ticket.signals)

    def step(self) -> dict[str, Any]:
        """Train one epoch, or return the next one that the checkpoint holds."""
        limit = self._ticket.job.epoch_seconds
        if limit is not None:
            # A hung process cannot be asked to end; this thread needs no interpreter. The driver sees it die.
            faulthandler.dump_traceback_later(limit, exit=True, file=_STDERR)
        self._busy = True
        try:
            message: ActorMessage = self._epoch()
        except TrialFailure as failure:
            message = Failed(failure.kind, str(failure))
        except Preempted:
            if self._terminated.is_set():  # raised, so that this process gets no further job
                raise TakenAway("its machine was taken away (SIGTERM)") from None
            message = GaveWay()
        except UserError as error:
            message = error
        finally:
            self._busy = False
            faulthandler.cancel_dump_traceback_later()
        return {"message": message, "node": ray.get_runtime_context().get_node_id()}

    def _epoch(self) -> Evaluation:
        job = self._ticket.job
        if self._training is None:
            self._group = self._open.enter_context(Group.open(job, self._ticket.artifacts))
            self._training = self._group.lead(self._new_training)
        self._group.lead(self._training.next)
        return self._training.evaluation()

    def _new_training(self) -> Session | Scoring:
        job = self._ticket.job
        return begin(
            job.assignment,
            artifacts=open_artifacts(self._ticket.artifacts),
            threads=job.resources.threads,
            device="auto" if job.resources.gpu else "cpu",
            ranks=self._group.ranks,
            interrupted=self._interrupted,
        )

    def _interrupted(self) -> bool:
        listener = self._listener
        return self._terminated.is_set() or (listener is not None and listener.shall_end(self._ticket.id))

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        """Give way: write the checkpoint, then end; at once where nothing runs."""
        self._terminated.set()
        threading.Thread(target=self._end, daemon=True).start()

    def _end(self) -> None:
        deadline = time.monotonic() + GRACE_SECONDS
        while self._busy and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)  # so that the answer is on its way
        os._exit(143)

    def cleanup(self) -> None:
        """End the other ranks."""
        self._open.close()
