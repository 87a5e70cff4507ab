"""What passes between the search and an executor: a job, what it reports, and the few calls that carry it.

An executor runs a `Work` to its end: it asks for a job whenever it has a free slot, reports each epoch of a
job (and stops the job where the answer is False), and finishes or fails it. Every second or so it attends to
what was asked for from outside. All calls come from one thread, the driver's. A job that was asked for and
never finished, because the driver died, is asked for again by the next driver and goes on from its checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from dcasearch.architecture import Architecture
from dcasearch.architecture.words import sentence_of
from dcasearch.assignment import Assignment
from dcasearch.config.study import Resources
from dcasearch.errors import TrialFailure
from dcasearch.evaluation import Epoch, Evaluation
from dcasearch.metrics import Metric
from dcasearch.trial import Value

EventKind: TypeAlias = Literal[
    "run",
    "plan",
    "phase",
    "started",
    "resumed",
    "epoch",
    "complete",
    "pruned",
    "infeasible",
    "duplicate",
    "failed",
    "lost",
    "leader",
    "note",
]
"""What an event says; docs/events.md describes each kind and its fields."""
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


_NONE: Mapping[str, Value] = MappingProxyType({})


def event_about(
    kind: EventKind,
    label: str,
    architecture: Architecture,
    message: str = "",
    fields: Mapping[str, Value] = _NONE,
) -> Event:
    """Return an event about a network: with its `architecture` (the id) and its `network` (a sentence)."""
    named: dict[str, Value] = {"architecture": architecture.id, "network": sentence_of(architecture.network)}
    return Event(kind, label, message, {**fields, **named})


def event_of(kind: EventKind, job: Job, message: str = "", fields: Mapping[str, Value] = _NONE) -> Event:
    """Return an event about a job's training, as `event_about`."""
    return event_about(kind, job.label, job.assignment.architecture, message, fields)


def epoch_event(job: Job, epoch: Epoch, headline: Metric) -> Event:
    """Return the event of one epoch: its headline metric, and its seconds; the network is named by its id alone."""
    name = headline.name
    fields: dict[str, Value] = {"epoch": epoch.epoch, "of": job.assignment.fidelity.epochs, name: epoch.values[name]}
    named: dict[str, Value] = {"seconds": epoch.seconds, "architecture": job.assignment.architecture.id}
    return Event("epoch", job.label, fields={**fields, **named})


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
