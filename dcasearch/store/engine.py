"""How a database is spoken to: its engine, and transactions that no other writer comes between."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select

from dcasearch.errors import StorageError
from dcasearch.masking import masked
from dcasearch.store.urls import redact, secrets_of

BUSY_SECONDS = 30
"""How long a writer of a SQLite file waits for another one, e.g. the dashboard, before it tries anew."""
_PRAGMAS = (
    f"busy_timeout = {BUSY_SECONDS * 1000}",
    "journal_mode = WAL",  # readers and the one writer do not block each other
    "synchronous = NORMAL",  # in WAL a crash of the process loses nothing, of the machine at most the last commits
    "foreign_keys = ON",
)
_POSTGRESQL = {  # libpq's own waits for ever on a host that went away; each of them may stand in the URL too
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "application_name": "dcasearch",
}
_LOCK = 0xDCA  # any number that nobody else takes


def engine_options(url: URL) -> dict[str, Any]:
    """Return what `create_engine` is given, for us and for Optuna.

    Raises:
        StorageError: the database's driver is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return {}
    try:
        import psycopg  # noqa: F401  # only asked whether it is there, its C library included
    except ImportError:
        raise StorageError("PostgreSQL needs its driver: `pip install dcasearch[postgres]`.") from None
    _check_options(url)
    options = {name: value for name, value in _POSTGRESQL.items() if name not in url.query}
    return {"pool_pre_ping": True, "connect_args": options}


def _check_options(url: URL) -> None:
    """Raise StorageError for an option of the URL that the driver does not know, or whose value is no number."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    given = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    for name, value in given.items():
        if isinstance(_POSTGRESQL.get(name), int) and not value.isdecimal():
            raise StorageError(f"{redact(_text(url))}: {name} must be a whole number of seconds or tries")
    try:
        make_conninfo(**given)
    except (ProgrammingError, ValueError) as error:
        raise StorageError(f"{redact(_text(url))}: {masked(str(error).strip(), *secrets_of(url))}") from None


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def make_engine(url: URL) -> Engine:
    """Return an engine; SQLite's transactions are SQLite's own, DDL included.

    Raises:
        StorageError: the database's driver is not installed.
    """
    if url.get_backend_name() == "sqlite" and (read_only := _read_only(Path(url.database or ""))) is not None:
        engine = create_engine(url, creator=lambda: sqlite3.connect(read_only, uri=True, check_same_thread=False))
        event.listen(engine, "connect", _leave_transactions_to_us)
        return engine
    engine = create_engine(url, **engine_options(url))
    if is_sqlite(engine):
        set_pragmas(engine)
        event.listen(engine, "connect", _leave_transactions_to_us)
        event.listen(engine, "begin", _begin)
    return engine


def _read_only(file: Path) -> str | None:
    """Return how SQLite opens a file that this process may only read; None where it may write.

    SQLite writes beside a database even to read it (its write-ahead log). Where it cannot, and no log is left, the
    file is opened as one that nobody changes.
    """
    if not file.is_file() or (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        return None
    log = file.with_name(f"{file.name}-wal")
    whole = not log.exists() or log.stat().st_size == 0
    return f"file:{quote(str(file))}?mode=ro{'&immutable=1' if whole else ''}"


def is_sqlite(engine: Engine) -> bool:
    """Tell whether the database is a file of this machine."""
    return engine.dialect.name == "sqlite"


def writer(engine: Engine) -> Engine:
    """Return the engine for transactions in which no other writer comes between what is read and what is written.

    SQLite's writers wait for each other; of PostgreSQL's that meet, all but one fail and are repeated.
    """
    if is_sqlite(engine):
        return engine.execution_options(writes=True)
    return engine.execution_options(isolation_level="SERIALIZABLE")


@contextmanager
def changing_tables(engine: Engine) -> Iterator[Connection]:
    """One transaction that makes or alters tables; of several processes at once each waits for the other."""
    with engine.execution_options(writes=True).begin() as connection:
        if not is_sqlite(engine):
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
        yield connection


def set_pragmas(engine: Engine) -> None:
    """Let every new connection of an engine of SQLite, ours or Optuna's, start with the same pragmas."""
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
