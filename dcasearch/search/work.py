"""What passes between the search and an executor: a job, what it reports, and the few calls that carry it.

An executor runs a `Work` to its end: it asks for a job whenever it has a free slot, reports each epoch of a
job (and stops the job where the answer is False), and finishes or fails it. Every second or so it attends to
what was asked for from outside. All calls come from one thread, the driver's. A job that was asked for and
never finished, because the driver died, is asked for again by the next driver and goes on from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from dcasearch.assignment import Assignment
from dcasearch.config.study import Resources
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.trial import Value

EventKind: TypeAlias = Literal[
    "phase", "started", "resumed", "epoch", "complete", "pruned", "infeasible", "duplicate", "failed", "lost", "note"
]
ATTEND_SECONDS = 1.0
"""How often an executor calls `Work.attend`."""


@dataclass(frozen=True)
class Event:
    """Something a user would want to know while a study runs."""

    kind: EventKind
    label: str
    """Who it is about, e.g. `proxy trial 7` or `proxy baseline vanilla se`."""
    message: str = ""
    fields: Mapping[str, Value] = field(default_factory=dict)


Observer: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training for an executor to run."""

    label: str
    number: int
    """Identifies the job among those its work has handed out."""
    assignment: Assignment
    resources: Resources
    epoch_seconds: float | None = None
    """Time limit of one epoch, start-up included; a job that exceeds it fails with `timeout`."""
    resumed: bool = False
    """Whether an earlier driver or worker had already begun it."""
    source: int = 0
    """Which of several works, run as one, handed it out."""
    trial: bool = False
    """Whether `number` is a trial's, not a baseline's or a final training's."""


def too_slow(job: Job) -> TrialFailure:
    """Return what it means to a job that an epoch of it has taken longer than its limit."""
    return TrialFailure("timeout", f"no epoch ended within {job.epoch_seconds:g} s (executor.epoch_seconds)")


class Source(Protocol):
    """Hands out jobs; `dcasearch.search.trials` and `dcasearch.search.roles` implement it."""

    def ask(self) -> Job | None:
        """Return the next job, or None: nothing to start now. With nothing running, None means the end."""

    def put_back(self, job: Job) -> None:
        """Take back a job that was just asked for, since its very training runs already for someone else."""

    def report(self, job: Job, epoch: Epoch) -> bool:
        """Take one epoch (again, after a resume); False says that the job shall stop."""

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """Take the record of a job that ran to its end or was stopped."""

    def fail(self, job: Job, failure: TrialFailure) -> None:
        """Take the failure of a job; a `lost` one may be handed out again by `ask`."""


class Work(Protocol):
    """What an executor runs to its end; `dcasearch.search.pipeline` implements it over sources."""

    def ask(self) -> Job | None:
        """As `Source.ask`."""

    def started(self, job: Job) -> None:
        """Take note that a job which was asked for has a place: a cluster may let it wait for one."""

    def put_back(self, job: Job) -> None:
        """Take back a job that runs no more, by no fault of its own; `ask` hands it out again."""

    def note(self, message: str) -> None:
        """Tell the user what happens to the machines that the jobs run on."""

    def report(self, job: Job, epoch: Epoch) -> bool:
        """As `Source.report`."""

    def finish(self, job: Job, evaluation: Evaluation) -> None:
        """As `Source.finish`."""

    def fail(self, job: Job, failure: TrialFailure) -> None:
        """As `Source.fail`."""

    def waits(self) -> bool:
        """Return whether `ask` may have a job later though none runs: another driver trains what this work needs."""

    def attend(self) -> Sequence[Job]:
        """Return the running jobs that a user cancelled: the executor ends them and fails them as `cancelled`.

        Raises:
            Interrupted: a user asked, from elsewhere, that the run stops.
            TimeOver: the time of the run is over.
        """
