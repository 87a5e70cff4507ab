"""Tune's searcher, scheduler and stopper over one work: they pass on what they are told and decide nothing.

Tune calls them from one thread, the driver's. Whatever they raise is kept and raised again after Tune has ended its
trials, since Tune would wrap it in an error of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from ray import cloudpickle
from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from dcasearch.errors import DataError, Interrupted, MachineError, TrialFailure, UserError
from dcasearch.evaluation import Evaluation
from dcasearch.executors.ray.actor import GRACE_SECONDS, ActorMessage, GaveWay, Ticket
from dcasearch.executors.ray.cluster import capacity, nodes
from dcasearch.executors.ray.node_watch import NodeWatch
from dcasearch.executors.ray.signals import Signals
from dcasearch.executors.worker import Failed
from dcasearch.search.work import ATTEND_SECONDS, Job, Work, too_slow

_PATIENCE_SECONDS = 30.0
"""How long a trial may wait for a place before no smaller one is started in its stead."""
_LOOK_SECONDS = 5.0
"""How often the cluster is asked how much it holds."""


class Bridge:
    """One run of a work, as Tune's three parts see it."""

    def __init__(
        self,
        work: Work,
        artifacts: str,
        max_concurrent: int,
        interrupted: threading.Event,
        signals: Signals,
        watch: NodeWatch | None = None,
    ) -> None:
        self._work, self._artifacts = work, artifacts
        self._max_concurrent, self._interrupted, self._signals = max_concurrent, interrupted, signals
        self._watch = watch
        """None where Ray runs on this machine alone, as the driver does."""
        self._live: dict[str, Ticket] = {}
        """By Tune's id of the trial."""
        self._waiting: dict[str, float] = {}
        """Since when those that have no place yet wait for one."""
        self._heard: dict[str, float] = {}
        """When each trial began its epoch."""
        self._cancelled: set[str] = set()
        self._attended = self._looked = self._watched = 0.0
        self._room = 0
        self._deadline: float | None = None
        self.error: BaseException | None = None
        """What ended the run early."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave everything out of the pickle that Tune makes of its searcher and never reads again."""
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next job as a trial's configuration, None where there is none now, FINISHED at the end."""
        with self._kept():
            if self._ending():
                return Searcher.FINISHED
            if len(self._live) >= self._max_concurrent:
                return None
            if self._live and len(self._live) > self._capacity():
                return None  # one more than there is room for, so that a cluster that grows by demand sees some
            if any(time.monotonic() - since > _PATIENCE_SECONDS for since in self._waiting.values()):
                return None  # else small trials would take every place that a large one waits for
            job = self._ask()
            if job is not None:
                self._look(job)
                self._waiting[trial_id] = time.monotonic()
                self._live[trial_id] = Ticket(job, self._artifacts, self._signals.name)
                return {"ticket": self._live[trial_id], "away": None if self._watch is None else self._watch.selector()}
        # Nothing runs and nothing is to come, or an error: Tune would wait within this call for ever.
        return None if self._live and self.error is None else Searcher.FINISHED

    def _ask(self) -> Job | None:
        """Return the next job; where none runs, wait here for one that another driver holds: Tune would end."""
        job = self._work.ask()
        while job is None and not self._live and self._work.waits() and not self._ending():
            self._interrupted.wait(ATTEND_SECONDS)
            self.attend()
            job = self._work.ask()
        return job

    def _look(self, job: Job) -> None:
        """Look at the nodes that are new, and say which ones are left out."""
        if self._watch is not None:
            self._watched = time.monotonic()
            for reason in self._watch.look(job):
                self._work.note(f"node left out: {reason}")
            self._watch.refuse_nowhere(job)

    def started(self, trial_id: str) -> None:
        """Note that a trial has a place."""
        self._heard[trial_id] = time.monotonic()
        if self._waiting.pop(trial_id, None) is not None:
            with self._kept():
                self._work.started(self._live[trial_id].job)

    def result(self, trial_id: str, message: ActorMessage, node: str) -> bool:
        """Take what a step returned, and on which node; return whether the trial goes on."""
        goes_on = False
        self._heard[trial_id] = time.monotonic()
        with self._kept():
            goes_on = self._result(self._live[trial_id], message, node)
        if not goes_on:
            del self._live[trial_id]
            self._heard.pop(trial_id, None)
        return goes_on

    def _result(self, ticket: Ticket, message: ActorMessage, node: str) -> bool:
        if not isinstance(message, Evaluation) or self._gave_up(ticket):
            self._ended(ticket, message, node)
            return False
        job = ticket.job
        if self._work.report(job, message.last) and len(message.history) < job.assignment.fidelity.epochs:
            return True
        self._work.finish(job, message)
        return False

    def _gave_up(self, ticket: Ticket) -> bool:
        return ticket.id in self._cancelled or self._ending()

    def _ended(self, ticket: Ticket, message: ActorMessage, node: str) -> None:
        if isinstance(message, DataError | MachineError) and self._watch is not None and not self._gave_up(ticket):
            if node not in self._watch.left_out:  # a trial that was on its way there may meet the same
                self._work.note(f"node left out: {self._watch.leave_out(node, message)}")
            self._watch.refuse_nowhere(ticket.job)
            self._work.put_back(ticket.job)
            return
        if isinstance(message, UserError):
            raise message
        if ticket.id in self._cancelled:
            self._cancelled.discard(ticket.id)
            self._work.fail(ticket.job, TrialFailure("cancelled", "by `dcasearch cancel`"))
        elif isinstance(message, Failed):
            self._work.fail(ticket.job, TrialFailure(message.kind, message.message))

    def lost(self, trial_id: str, reason: str) -> None:
        """Take the loss of a worker."""
        with self._kept():
            ticket = self._live.pop(trial_id, None)
            self._waiting.pop(trial_id, None)
            if ticket is None or self._ending():
                return
            if ticket.id in self._cancelled:
                self._ended(ticket, GaveWay(), node="")
            else:
                limit, heard = ticket.job.epoch_seconds, self._heard.pop(trial_id, float("inf"))
                # A process that hangs is ended by its own watch, which cannot say why; the clock can.
                hung = limit is not None and time.monotonic() - heard >= limit
                self._work.fail(ticket.job, too_slow(ticket.job) if hung else TrialFailure("lost", reason))

    def attend(self) -> None:
        """Look, once a second, at what was asked from outside."""
        if self._ending() or time.monotonic() - self._attended < ATTEND_SECONDS:
            return
        self._attended = time.monotonic()
        with self._kept():
            cancelled = {f"{job.source} {job.number}" for job in self._work.attend()} - self._cancelled
            if cancelled:
                self._cancelled |= cancelled
                self._signals.end(sorted(cancelled))
            if self._live and self._watch is not None and time.monotonic() - self._watched > _LOOK_SECONDS:
                self._look(next(iter(self._live.values())).job)

    def over(self) -> bool:
        """Whether Tune shall end what still runs: after an error or an interruption, with all checkpoints written."""
        if not self._ending():
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + GRACE_SECONDS
            self._signals.end([ticket.id for ticket in self._live.values()])
        return not self._live or time.monotonic() > self._deadline

    def _ending(self) -> bool:
        if self._interrupted.is_set() and self.error is None:
            self.error = Interrupted("interrupted")
        return self.error is not None

    def _capacity(self) -> int:
        """Return how many trials like those that run the cluster holds; nodes may come and go."""
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            needs = {ticket.job.resources for ticket in self._live.values()}
            away = {} if self._watch is None else self._watch.left_out
            usable = [resources for node, resources in nodes().items() if node not in away]
            self._room = max((capacity(resources, usable) for resources in needs), default=0)
        return self._room

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # raised again by the executor
            self.error = self.error or error


class BridgeSearcher(Searcher):
    """Asks the work for jobs."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Accept whatever Tune says: the objectives are the study's."""
        return True

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Return the next job, or at the end `Searcher.FINISHED`, a string that Ray's own annotation leaves out."""
        return cast("dict[str, Any] | None", self._bridge.suggest(trial_id))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Do nothing: the scheduler has seen the end, the last step included."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the database is the only truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing."""

    def get_state(self) -> dict[str, Any]:
        """Return nothing to be pickled."""
        return {}

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Write nothing."""


class BridgeScheduler(FIFOScheduler):
    """Passes every result on, and every loss of a worker."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # ray has no types here
        self._bridge = bridge

    def on_trial_result(self, tune_controller: Any, trial: TuneTrial, result: dict[str, Any]) -> str:
        """Return whether the trial goes on."""
        goes_on = self._bridge.result(trial.trial_id, result["message"], result["node"])
        return TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP

    def on_trial_error(self, tune_controller: Any, trial: TuneTrial) -> None:
        """Take the loss of the trial's worker."""
        self._bridge.lost(trial.trial_id, _reason(trial))

    def choose_trial_to_run(self, tune_controller: Any) -> TuneTrial | None:
        """Tune asks this in every turn of its loop."""
        self._bridge.attend()
        return super().choose_trial_to_run(tune_controller)


class BridgeCallback(Callback):
    """Notes which trials have a place."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def on_trial_start(self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **info: Any) -> None:
        """Tune calls this when the trial's process is there."""
        self._bridge.started(trial.trial_id)


class BridgeStopper(Stopper):
    """Ends Tune's loop after an error or an interruption."""

    def __init__(self, over: Callable[[], bool]) -> None:
        self._over = over

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Leave single trials to the scheduler."""
        return False

    def stop_all(self) -> bool:
        """Return whether everything ends now."""
        return self._over()


def _reason(trial: TuneTrial) -> str:
    """Return in one line why a trial's worker was lost, as far as Ray knows."""
    file = trial.pickled_error_file
    if file is None or not Path(file).exists():
        return "its worker has died"
    error = cloudpickle.loads(Path(file).read_bytes())  # written by Tune in this very process
    lines = str(getattr(error, "cause", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
