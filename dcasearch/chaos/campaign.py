"""Runs a study undisturbed, then kills it at random moments until it has ended all the same, then compares."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from dcasearch.analysis.reproduction import draw_trained, not_reproduced
from dcasearch.analysis.wholeness import Rows, ledger_of, trainings_of
from dcasearch.chaos.checkpoints import Saved, note_saved
from dcasearch.chaos.copies import Copy, make_copy, refuse_used
from dcasearch.chaos.moments import NEVER, Moment, Target, draw_moments
from dcasearch.chaos.process import Run, kill_worker, started
from dcasearch.chaos.verdict import (
    Check,
    Meaning,
    Verdict,
    comparable_as_set,
    equality,
    equality_as_set,
    explain,
    ledger_checks,
    merged,
)
from dcasearch.config.study import Study
from dcasearch.errors import StorageError, StudyFailed, UserError
from dcasearch.space import LoadedStudy
from dcasearch.store import Store
from dcasearch.trial import State, Trial

_LOOK_SECONDS = 0.2
_TAIL_LINES = 15
_LONG = 10.0
"""A run that takes so many times as long as the undisturbed one hangs."""


@dataclass(frozen=True)
class Settings:
    """What is done to the study."""

    kills: int = 10
    seed: int = 0
    executor: str | None = None
    """`local` or `ray`; None: the study's."""
    concurrent: int | None = None
    """Trials at a time; None: the study's, as far as this machine has CPUs."""
    workers: float = 0.5
    """Share of the kills that hit a worker process; the others hit the driver."""
    sample: int = 3
    """Trials that are trained anew at the end, where the ledger cannot be compared with another one."""
    storage: str | None = None
    """URL of an empty database; None: a SQLite file in the scratch folder."""


class Audience(Protocol):
    """Who watches."""

    def say(self, line: str) -> None:
        """Take something that happened."""

    def show(self, line: str) -> None:
        """Take what happens now; it replaces what was shown before."""


@dataclass
class _Copy:
    """A copy that is being killed."""

    copy: Copy
    moments: list[Moment]
    """Of its kills that are to come, the next one last."""
    epochs: set[tuple[str, int]] = field(default_factory=set)
    """Reported so far, by whichever run."""
    saved: Saved = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    outlived: list[str] = field(default_factory=list)


def chaos(loaded: LoadedStudy, settings: Settings, folder: Path, audience: Audience) -> Verdict:
    """Kill a study at random moments and tell whether its ledger is whole.

    Args:
        loaded: the study; only copies of it are run.
        settings: what is done to it.
        folder: where the copies lie; a new one.
        audience: who watches.

    Raises:
        UserError: the study cannot run, or the storage is not empty.
        StorageError: the storage cannot be reached.
        StudyFailed: the study fails by itself, undisturbed.
    """
    if settings.storage is not None:
        refuse_used(settings.storage)
    return _Campaign(loaded, settings, folder, audience).run()


class _Campaign:
    def __init__(self, loaded: LoadedStudy, settings: Settings, folder: Path, audience: Audience) -> None:
        self._loaded, self._study, self._settings, self._folder = loaded, loaded.study, settings, folder
        self._say, self._show = audience.say, audience.show
        self._executor = settings.executor or loaded.study.executor.name
        self._concurrent = settings.concurrent or min(loaded.study.executor.max_concurrent, os.cpu_count() or 1)
        self._random = random.Random(f"chaos {settings.seed}")
        self._killed: list[Target] = []
        self._startup = self._seconds = 0.0
        """Of the undisturbed run: to its first epoch, to its end."""
        self._epochs = 0
        """Of the undisturbed run."""

    def run(self) -> Verdict:
        began = time.monotonic()
        undisturbed = self._undisturbed()
        copies: list[_Copy] = []
        while len(self._killed) < self._settings.kills and not any(copy.failures for copy in copies):
            if copies and self._settings.storage is not None:
                self._say(f"the database is used up: {len(self._killed)} of {self._settings.kills} kills were made")
                break
            copies.append(self._disturbed(len(copies) + 1))
        return Verdict(
            meaning=self._meaning,
            explanation=explain(self._study, self._meaning, self._concurrent, self._settings.sample),
            drivers=self._killed.count("driver"),
            workers=self._killed.count("worker"),
            seconds=time.monotonic() - began,
            checks=merged([check for copy in copies for check in self._checks(copy, undisturbed)]),
        )

    @property
    def _meaning(self) -> Meaning:
        return "equal" if self._concurrent == 1 else "invariants"

    def _checks(self, killed: _Copy, undisturbed: Rows) -> list[Check]:
        faults = [
            Check("the same command, run again, ends", tuple(killed.failures)),
            Check("no training outlives its driver", tuple(killed.outlived)),
        ]
        with Store.open(killed.copy.storage) as store:
            checks = ledger_checks(store, self._study.name, killed.saved)
            if self._meaning == "equal":
                return [*faults, *checks, equality(store, self._study.name, undisturbed)]
            return [*faults, *checks, *self._reproduction(store, undisturbed)]

    def _reproduction(self, store: Store, undisturbed: Rows) -> Iterator[Check]:
        """Hold values against others: the undisturbed run's where they must be equal, those of trials trained anew."""
        if comparable_as_set(self._study):
            yield equality_as_set(store, self._study.name, undisturbed)
        drawn = draw_trained(store, self._study.name, self._settings.sample, self._settings.seed)
        found = not_reproduced(store, self._study.name, self._loaded.space, drawn, self._show_anew)
        yield Check(f"{len(drawn)} trials trained anew: the same values", tuple(found))

    def _show_anew(self, trial: Trial) -> None:
        self._show(f"{trial.fidelity} trial {trial.number} is trained anew")

    # Runs

    def _new_copy(self, name: str, storage: str | None = None) -> Copy:
        return make_copy(self._study, self._folder / name, self._executor, self._concurrent, storage)

    def _undisturbed(self) -> Rows:
        copy = self._new_copy("undisturbed")
        with started(copy) as run:
            code = None
            while code is None:
                code = run.wait(_LOOK_SECONDS)
                self._show(f"undisturbed run: {_clock(run.seconds)}, {run.doing}")
            self._startup, self._seconds, self._epochs = run.first_epoch, run.seconds, len(run.epochs)
        if code != 0:
            error = UserError if code == UserError.exit_code else StudyFailed
            raise error(f"the study does not run, undisturbed (exit code {code}):\n{_tail(copy)}")
        self._say(
            f"undisturbed run: {_settled(copy, self._study)} trials, {self._epochs} epochs in {_clock(self._seconds)}"
        )
        with Store.open(copy.storage) as store:
            compare = ledger_of if self._meaning == "equal" else trainings_of
            return compare(store, self._study.name)

    def _disturbed(self, number: int) -> _Copy:
        if number > 1:
            self._say("the study has ended before the last kill: once more, from the start")
        left = self._settings.kills - len(self._killed)
        moments = draw_moments(
            self._random,
            left,
            workers=self._settings.workers,
            startup=self._startup,
            seconds=self._seconds,
            epochs=self._epochs,
        )
        killed = _Copy(self._new_copy(f"killed-{number}", self._settings.storage), moments[::-1])
        ended = False
        while not ended:
            with started(killed.copy) as run:
                ended = self._life(run, killed)
                killed.epochs |= run.epochs
        return killed

    def _life(self, run: Run, killed: _Copy) -> bool:
        """Follow one run until it has ended by itself (True) or was killed."""
        while True:
            code = self._until(run, killed)
            if code is not None:
                if code != 0:
                    killed.failures.append(f"exit code {code} without a kill: {_tail(killed.copy)}")
                return True
            if run.seconds > self._limit:
                killed.failures.append(f"hangs: has not ended {run.seconds:.0f} s after its start")
                return True
            if self._kill(run, killed, killed.moments.pop()) == "driver":
                return False

    @property
    def _limit(self) -> float:
        return _LONG * self._seconds + 60

    def _until(self, run: Run, killed: _Copy) -> int | None:
        """Wait for the next moment of a kill; return the exit code if the run ends before."""
        moment = killed.moments[-1] if killed.moments else NEVER
        since = time.monotonic()
        while run.seconds < self._limit:
            now = time.monotonic()
            if len(killed.epochs | run.epochs) < moment.epochs:
                since = now
            left = moment.seconds - (now - since)
            if left <= 0:
                return None
            code = run.wait(min(_LOOK_SECONDS, left))
            if code is not None:
                return code
            self._show(f"run that is killed: {_clock(run.seconds)}, {run.doing}")
        return None

    def _kill(self, run: Run, killed: _Copy, moment: Moment) -> Target:
        """Kill whom the moment says; the driver where no worker is there yet."""
        after = run.seconds
        workers = run.workers() if moment.target == "worker" else []
        if workers:
            victim = workers[int(moment.which * len(workers))]
            kill_worker(victim)
            pid = victim.pid
        else:
            pid = run.pid
            left = run.kill_driver()
            killed.outlived += [f"process {process} outlived its driver {pid}" for process in left]
        note_saved(killed.copy.artifacts, killed.saved)
        self._killed.append("worker" if workers else "driver")
        self._say(
            f"kill {len(self._killed):>{len(str(self._settings.kills))}}/{self._settings.kills}: "
            f"{self._killed[-1]} (pid {pid}) after {after:.1f} s of its run, "
            f"{_settled(killed.copy, self._study)} trials so far"
        )
        return self._killed[-1]


def _settled(copy: Copy, study: Study) -> int:
    """Return how many trials have ended."""
    try:
        with Store.open(copy.storage) as store:
            counts = store.counts(study.name).values()
    except StorageError:  # killed before it had made its tables
        return 0
    return sum(n for states in counts for state, n in states.items() if state not in (State.RUNNING, State.WAITING))


def _tail(copy: Copy) -> str:
    return "\n".join(copy.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
