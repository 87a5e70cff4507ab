"""One driver per study: a lease in the database, renewed while the driver lives, taken over when it is dead.

What a driver trains it claims under its lease, so that two studies never train the same at once.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self, TypeAlias

import psutil
from sqlalchemy import CursorResult, delete, func, select, type_coerce, update
from sqlalchemy.orm import Session

from dcasearch.errors import DcasearchError, StorageError, StudyLocked
from dcasearch.store import runs
from dcasearch.store.outage import outlasting
from dcasearch.store.presence import DatabaseGone
from dcasearch.store.tables import ClaimRow, LeaseRow, UtcTime

HEARTBEAT = timedelta(seconds=10)
STALE = timedelta(seconds=60)
"""A driver on another host that has not been heard of for so long is dead."""
_SAME_START = 2.0  # seconds; a process's start time shifts a little when the system's clock is set
Writing: TypeAlias = Callable[[], AbstractContextManager[Session]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Driver:
    """The process that holds a study's lease, or held it when it died."""

    host: str
    pid: int
    since: datetime
    heard: datetime
    """When it last renewed its lease, by the database's clock."""
    lives: bool

    def in_words(self) -> str:
        """Return who drives a study, in a sentence."""
        who = f"process {self.pid} on {self.host}"
        if self.lives:
            return f"Run by {who} since {self.since.astimezone():%Y-%m-%d %H:%M:%S}."
        return f"Its driver, {who}, is gone; last heard of {self.heard.astimezone():%Y-%m-%d %H:%M:%S}."


def driver_of(session: Session, study: str, host: str | None = None) -> Driver | None:
    """Return who holds a study's lease; None where nobody does: the last driver has ended as it should, or none began.

    Args:
        session: Of the study's database.
        study: Its name.
        host: Of this process; by default the machine's name.
    """
    holder = session.get(LeaseRow, study)
    if holder is None:
        return None
    lives = _lives(holder, _moment(session), host or socket.gethostname())
    return Driver(holder.host, holder.pid, holder.since, holder.heartbeat, lives)


class Lease:
    """A context in which this process alone drives a study.

    On the same host a holder is alive if its process is (same pid, same start time), so that a killed
    driver's lease is taken over at once; on another host if its heartbeat is younger than `STALE`, by the
    database's clock. Transactions that write are serial, so of two that take a lease at once one is refused.

    Raises on entering:
        StudyLocked: a living driver holds the study; the message says which, where and since when.
        StorageError: the database is away for too long.
    """

    def __init__(self, writing: Writing, study: str, *, host: str | None = None, noted: bool = True) -> None:
        self._writing = writing
        self._study = study
        self._host = host or socket.gethostname()
        self._started = psutil.Process().create_time()
        self._token = uuid.uuid4().hex
        self._noted = noted
        self.outcome = runs.COMPLETE
        """What is noted as the end of the run, unless an error ends it; nothing is where the run is not noted."""
        self._renewed = 0.0
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._gone: DatabaseGone | None = None
        self._thread = threading.Thread(target=self._beat, name=f"lease {study}", daemon=True)

    def __enter__(self) -> Self:
        self._take()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            with self._writing() as session:
                session.execute(delete(ClaimRow).where(ClaimRow.token == self._token))
                session.execute(delete(LeaseRow).where(LeaseRow.token == self._token))
                runs.end(session, self._token, _moment(session), self.outcome if error is None else _told(error))
        except DatabaseGone:
            if error is None:
                raise  # the results that were told are in no file
        except StorageError as failure:  # this process ends, or is soon not heard of any more: both free the study
            logger.warning("The lease of study '%s' was not given back: %s", self._study, failure)

    def check(self) -> None:
        """Look whether this process still drives the study.

        After a silence in which another driver may have come (a stopped process, a database that was away) the
        database is asked.

        Raises:
            DatabaseGone: a heartbeat found that the database's file was deleted or replaced.
            StudyLocked: another driver took the study over while this process was not heard of.
        """
        if self._gone is not None:
            raise self._gone
        if time.monotonic() - self._renewed > STALE.total_seconds() / 2:
            outlasting(self._renew)()
        if self._lost.is_set():
            raise StudyLocked(f"Study '{self._study}' was taken over by another driver; this one was silent too long.")

    @outlasting
    def claim(self, evaluation: str) -> str | None:
        """Claim a training by the id of its key, or return the study whose living driver holds it already.

        A claim is worth nothing without its lease: a driver that died keeps nobody from its trainings.
        """
        with self._writing() as session:
            claimed = session.get(ClaimRow, evaluation)
            if claimed is not None and claimed.token != self._token:
                holder = session.scalars(select(LeaseRow).where(LeaseRow.token == claimed.token)).one_or_none()
                if holder is not None and _lives(holder, _moment(session), self._host):
                    return holder.study
            session.merge(ClaimRow(evaluation=evaluation, token=self._token))
        return None

    @outlasting
    def release(self, evaluation: str) -> None:
        """Give a claim back; one that another driver has taken over stays."""
        with self._writing() as session:
            mine = (ClaimRow.evaluation == evaluation) & (ClaimRow.token == self._token)
            session.execute(delete(ClaimRow).where(mine))

    @outlasting
    def _take(self) -> None:
        with self._writing() as session:
            moment = _moment(session)
            holder = session.get(LeaseRow, self._study)
            if holder is not None and holder.token != self._token and _lives(holder, moment, self._host):
                raise StudyLocked(
                    f"Study '{self._study}' is run by process {holder.pid} on {holder.host} since "
                    f"{holder.since.astimezone():%Y-%m-%d %H:%M:%S}. Wait until it ends, or stop it there."
                )
            mine = LeaseRow(
                study=self._study,
                token=self._token,
                host=self._host,
                pid=os.getpid(),
                process_started=self._started,
                since=moment,
                heartbeat=moment,
            )
            runs.begin(session, mine, noted=self._noted)
            session.merge(mine)
            living = select(LeaseRow.token)
            session.execute(delete(ClaimRow).where(ClaimRow.token.not_in(living)))
        self._renewed = time.monotonic()

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT.total_seconds()) and not self._lost.is_set():
            try:
                self._renew()
            except DatabaseGone as error:
                self._gone = error
                return
            except StorageError as error:
                logger.warning("The lease of study '%s' was not renewed: %s", self._study, error)

    def _renew(self) -> None:
        with self._writing() as session:
            renewal = update(LeaseRow).where(LeaseRow.token == self._token)
            result = session.execute(renewal.values(heartbeat=_moment(session)))
        self._renewed = time.monotonic()
        if isinstance(result, CursorResult) and result.rowcount == 0:
            self._lost.set()


def _told(error: BaseException) -> str:
    """Return what an error says of the end of a run, in one line."""
    first = next(iter(str(error).splitlines()), "").rstrip(".")
    if isinstance(error, DcasearchError):
        return first
    return f"{type(error).__name__}{first and f': {first}'}"


def _lives(holder: LeaseRow, moment: datetime, host: str) -> bool:
    """Return whether a driver is alive, as seen from a host at a moment of the database's clock."""
    if holder.host != host:
        return abs(moment - holder.heartbeat) < STALE  # one of the future is that of a clock that was wrong
    try:
        process = psutil.Process(holder.pid)
        same = abs(process.create_time() - holder.process_started) < _SAME_START
        return same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError, OverflowError):  # no such process, or a number that no process has
        return False


def _moment(session: Session) -> datetime:
    """Return this moment by the database's clock, which all hosts share."""
    return session.scalars(select(type_coerce(func.current_timestamp(), UtcTime))).one()
