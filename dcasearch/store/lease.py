"""One driver per study: a lease in the database, renewed while the driver lives, taken over when it is dead."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeAlias

import psutil
from sqlalchemy import ColumnElement, CursorResult, delete, update
from sqlalchemy.orm import Session

from dcasearch.errors import StorageError, StudyLocked
from dcasearch.store.tables import LeaseRow, now

HEARTBEAT = timedelta(seconds=10)
STALE = timedelta(seconds=60)
"""A driver on another host that has not been heard of for so long is dead."""
_SAME_START = 2.0  # seconds; a process's start time shifts a little when the system's clock is set
Writing: TypeAlias = Callable[[], AbstractContextManager[Session]]

logger = logging.getLogger(__name__)


class Lease:
    """A context in which this process alone drives a study.

    On the same host a holder is alive if its process is (same pid, same start time), so that a killed
    driver's lease is taken over at once; on another host if its heartbeat is younger than `STALE`.

    Raises on entering:
        StudyLocked: a living driver holds the study; the message says which, where and since when.
    """

    def __init__(self, writing: Writing, study: str, *, host: str | None = None) -> None:
        self._writing = writing
        self._study = study
        self._host = host or socket.gethostname()
        self._started = psutil.Process().create_time()
        self._ended = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {study}", daemon=True)

    def __enter__(self) -> Self:
        with self._writing() as session:
            holder = session.get(LeaseRow, self._study)
            if holder is not None and self._lives(holder):
                raise StudyLocked(
                    f"Study '{self._study}' is run by process {holder.pid} on {holder.host} since "
                    f"{holder.since.astimezone():%Y-%m-%d %H:%M:%S}. Wait until it ends, or stop it there."
                )
            moment = now()
            mine = LeaseRow(
                study=self._study,
                host=self._host,
                pid=os.getpid(),
                process_started=self._started,
                since=moment,
                heartbeat=moment,
            )
            session.merge(mine)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        with self._writing() as session:
            session.execute(delete(LeaseRow).where(*self._mine()))

    def check(self) -> None:
        """Raise StudyLocked if another driver took the study over while this process was not heard of."""
        if self._lost.is_set():
            raise StudyLocked(f"Study '{self._study}' was taken over by another driver; this one was silent too long.")

    def _lives(self, holder: LeaseRow) -> bool:
        if holder.host != self._host:
            return now() - holder.heartbeat < STALE
        try:
            process = psutil.Process(holder.pid)
            same = abs(process.create_time() - holder.process_started) < _SAME_START
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        return (
            LeaseRow.study == self._study,
            LeaseRow.host == self._host,
            LeaseRow.pid == os.getpid(),
            LeaseRow.process_started == self._started,
        )

    def _renew(self) -> None:
        while not self._ended.wait(HEARTBEAT.total_seconds()):
            try:
                with self._writing() as session:
                    result = session.execute(update(LeaseRow).where(*self._mine()).values(heartbeat=now()))
            except StorageError as error:
                logger.warning("The lease of study '%s' was not renewed: %s", self._study, error)
            else:
                if isinstance(result, CursorResult) and result.rowcount == 0:
                    self._lost.set()
                    return
