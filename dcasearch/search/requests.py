"""What is asked of a running study from elsewhere (`dcasearch stop`, `dcasearch cancel`), through its database."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NoReturn

from dcasearch.errors import Interrupted, UserError, nearest
from dcasearch.search.work import Event, Job, Observer
from dcasearch.store import Request, Store
from dcasearch.trial import State

LOOK_SECONDS = 1.0
"""How often `Requests.look` asks the database."""
WAITED_FOR_SECONDS = 120.0
"""How long `ask_stop` waits: workers may write checkpoints for half a minute."""


class Requests:
    """Looks at the requests for one study; those to stop it that were made before this run are void."""

    def __init__(self, store: Store, study: str, observe: Observer) -> None:
        self._store, self._study, self._observe = store, study, observe
        self._cancelled: dict[int, Job] = {}
        self._looked = time.monotonic()
        for request in store.requests(study):
            if request.kind == "stop":
                store.answer(request)

    def look(self) -> None:
        """Raise Interrupted where the study is to stop; for work of many seconds that nothing else interrupts."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        for request in self._store.requests(self._study):
            if request.kind == "stop":
                self._stop(request)
        self._looked = time.monotonic()

    def _stop(self, request: Request) -> NoReturn:
        self._store.answer(request)
        raise Interrupted("stopped by `dcasearch stop`")

    def attend(self, running: Sequence[Job]) -> Sequence[Job]:
        """Return those of the running jobs whose trial was cancelled.

        A request is answered once its trial does not run any more, so that a driver which dies before is
        followed by one that still knows of it.

        Raises:
            Interrupted: the study is to stop.
        """
        cancelled: list[Job] = []
        for request in self._store.requests(self._study):
            if request.kind == "stop":
                self._stop(request)
            job = next((j for j in running if (_fidelity(j), j.number) == (request.fidelity, request.number)), None)
            if job is not None:
                cancelled.append(job)
                self._cancelled[request.id] = job
                continue
            if self._cancelled.pop(request.id, None) is None:
                label = f"{request.fidelity} trial {request.number}"
                self._observe(Event("note", label, "does not run, so there is nothing to cancel"))
            self._store.answer(request)
        return cancelled


def ask_stop(store: Store, study: str) -> bool:
    """Ask the driver of a study to stop; return whether it has, within `WAITED_FOR_SECONDS`.

    Raises:
        UserError: nobody runs the study.
    """
    refuse_at_rest(store, study)
    request = store.request(study, "stop")
    deadline = time.monotonic() + WAITED_FOR_SECONDS
    while time.monotonic() < deadline:
        if not _is_driven(store, study):
            store.answer(request)  # it may have ended by itself meanwhile
            return True
        time.sleep(0.5)
    return False


def ask_cancel(store: Store, study: str, number: int, fidelity: str | None = None) -> str:
    """Ask the driver of a study to end one running trial for good; return the trial's fidelity.

    Raises:
        UserError: nobody runs the study, or no such trial runs, or one runs in several fidelities.
    """
    refuse_at_rest(store, study)
    running = [
        trial.fidelity
        for trial in store.trials(study, fidelity)
        if trial.number == number and trial.state is State.RUNNING
    ]
    if len(running) != 1:
        where = "" if fidelity is None else f" of {fidelity}"
        several = f" in {' and '.join(running)}: say which with --fidelity" if running else ""
        raise UserError(f"trial {number}{where} {'runs' + several if running else 'does not run'}")
    store.request(study, "cancel", running[0], number)
    return running[0]


def refuse_at_rest(store: Store, study: str) -> None:
    """Raise UserError where nobody runs a study; the message says how it ended, or that there is no such study."""
    if _is_driven(store, study):
        return
    names = [other.name for other in store.studies()]
    if study not in names:
        raise UserError(f"{store.url} holds no study '{study}'; {nearest(study, names)}")
    driver, last = store.driver(study), store.last_run(study)
    if driver is not None:
        how = driver.in_words()
    else:
        how = "It was never run by this version." if last is None else last.in_words().removeprefix("Not running. ")
    raise UserError(f"study '{study}' does not run, so there is nothing to stop. {how}")


def _is_driven(store: Store, study: str) -> bool:
    driver = store.driver(study)
    return driver is not None and driver.lives


def _fidelity(job: Job) -> str | None:
    """Return the fidelity of a trial; None for a baseline or a final training, which has no number of its own."""
    return job.assignment.fidelity.name if job.trial else None
