"""A database that is away for a while: what it cannot do becomes a StorageError, and calls are repeated meanwhile.

Whatever is repeated may have been done already: a server that dies between a commit and its answer leaves its
client in doubt. So every repeated call either stores the same again or finds that it is stored.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from dcasearch.errors import StorageError
from dcasearch.masking import masked
from dcasearch.store.presence import DatabaseGone
from dcasearch.store.urls import redact, secrets_in

OUTAGE_SECONDS = 300.0
"""How long a database may be away before the run stops."""
_LONGEST_PAUSE = 5.0
_SQLITE_BUSY = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED
_ADVICE = {
    8: "let this user write the file and its folder, or copy the database elsewhere and name the copy",  # READONLY
    13: "make room on its disk, then run the same command",  # FULL
}
"""SQLite's codes -> what to do."""
_ANEW = ("40001", "40P01", "57P01", "57P02", "57P03", "53300")
"""PostgreSQL's codes of what another attempt may bring: writers that met, a server going down or coming up, or full."""
_FORBIDDEN = "42501"
_DROPPED = ("42P01", "3F000", "3D000")
"""PostgreSQL's codes of a table, a schema and a database that do not exist."""
_QUIET = 4
"""Attempts before anything is said: writers that met are through by then."""

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


class Away(StorageError):
    """The database cannot answer at this moment; the same call may succeed later."""


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn what a database cannot do (gone, full, locked, read-only, no database) into a StorageError."""
    try:
        yield
    except json.JSONDecodeError as error:
        raise StorageError(
            f"{redact(url)}: a row is damaged, its JSON cannot be read ({error}). `dcasearch status STUDY` names it; "
            "put a copy of the database back"
        ) from error
    except _errors() as error:
        reason = error if isinstance(error, DBAPIError) else error.__cause__
        if not isinstance(reason, DBAPIError):
            raise
        passes = _passes(reason)
        if getattr(reason.orig, "sqlstate", None) in _DROPPED:
            said = _said(reason, url)
            raise DatabaseGone(f"{redact(url)}: the database or its tables were dropped: {said}") from error
        if not passes and not _is_the_databases(reason):
            raise  # a constraint or a statement of ours: a bug, with its traceback
        kind = Away if passes else StorageError
        raise kind(f"{redact(url)}: {_said(reason, url)}") from error


def _said(error: DBAPIError, url: str) -> str:
    """Return what the driver says and what to do about it, without a secret of the URL in it."""
    advice = _ADVICE.get(getattr(error.orig, "sqlite_errorcode", 0) & 0xFF)
    return masked(str(error.orig).strip(), *secrets_in(url)) + (f"; {advice}" if advice else "")


def _errors() -> tuple[type[Exception], ...]:
    """Return what a database's failure is raised as; Python asks once there is an error, so reading needs no Optuna."""
    from optuna.exceptions import StorageInternalError

    return DBAPIError, StorageInternalError


def outlasting(call: Callable[P, T]) -> Callable[P, T]:
    """Repeat a call while the database is away.

    Raises (the call):
        StorageError: it was away for `OUTAGE_SECONDS`.
    """

    @wraps(call)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        retrying = Retrying(
            retry=retry_if_exception_type(Away),
            wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_PAUSE),
            stop=stop_after_delay(OUTAGE_SECONDS),
            before_sleep=_say,
            retry_error_callback=_give_up,
        )
        return retrying(call, *args, **kwargs)

    return repeated


def _say(state: RetryCallState) -> None:
    if state.attempt_number == _QUIET and state.outcome is not None:
        logger.warning("%s; trying again for up to %.0f seconds", state.outcome.exception(), OUTAGE_SECONDS)


def _give_up(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    raise StorageError(f"{error}; gave up after {OUTAGE_SECONDS:.0f} seconds") from error


def _passes(error: DBAPIError) -> bool:
    """Tell whether another attempt may succeed."""
    if error.connection_invalidated:
        return True
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return (code & 0xFF) in _SQLITE_BUSY
    state = getattr(error.orig, "sqlstate", None)
    if state is None:  # psycopg tells no code of a connection that could not be made
        return isinstance(error, OperationalError) and type(error.orig).__module__.startswith("psycopg")
    return state in _ANEW or state.startswith("08")


def _is_the_databases(error: DBAPIError) -> bool:
    """Tell a database that cannot or may not from a mistake of ours."""
    forbidden = getattr(error.orig, "sqlstate", None) == _FORBIDDEN
    return forbidden or type(error) in (DatabaseError, OperationalError, InternalError)
