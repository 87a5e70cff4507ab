"""How a database is spoken to: connections, pragmas, short transactions, and errors without passwords."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, InternalError, OperationalError

from dcasearch.errors import StorageError
from dcasearch.store.urls import redact

BUSY_SECONDS = 30
"""How long a writer waits for another one, e.g. the dashboard, before it gives up."""
_PRAGMAS = (
    f"busy_timeout = {BUSY_SECONDS * 1000}",
    "journal_mode = WAL",  # readers and the one writer do not block each other
    "synchronous = NORMAL",  # in WAL a crash of the process loses nothing, of the machine at most the last commits
    "foreign_keys = ON",
)


def make_engine(url: URL) -> Engine:
    """Return an engine whose transactions are SQLite's own, DDL included."""
    engine = create_engine(url)
    set_pragmas(engine)
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin)
    return engine


def set_pragmas(engine: Engine) -> None:
    """Let every new connection of an engine, ours or Optuna's, start with the same pragmas."""
    event.listen(engine, "connect", _on_connect)


def _on_connect(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _leave_transactions_to_us(connection: Any, record: object) -> None:
    connection.isolation_level = None  # the driver would begin late, and never before DDL


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later fails at once if another writer came between
    # (SQLITE_BUSY_SNAPSHOT, which no timeout helps against), so writers take the lock when they begin.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn what a database cannot do (gone, full, locked, read-only, no database) into a StorageError."""
    try:
        yield
    except DatabaseError as error:
        if type(error) not in (DatabaseError, OperationalError, InternalError):
            raise  # a constraint or a statement of ours: a bug, with its traceback
        raise StorageError(f"{redact(url)}: {error.orig}") from error
