"""An open database: connections, transactions, Optuna's storage and the lease; `store.Store` asks it questions."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, Self

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from dcasearch.errors import StorageError
from dcasearch.store import salvage, table_versions
from dcasearch.store.engine import make_engine, writer
from dcasearch.store.lease import Lease
from dcasearch.store.outage import outlasting, translated
from dcasearch.store.presence import Presence
from dcasearch.store.urls import parse, password_of, redact, whole

if TYPE_CHECKING:  # reading commands do not wait for Optuna
    from optuna.storages import BaseStorage

    from dcasearch.store.optuna_storage import OptunaStorage

_AT_ONCE = 500
"""Ids in one query; databases limit the variables of a statement."""


class Database:
    """The connections to a database; a base of `Store`, which says what each method promises."""

    def __init__(self, engine: Engine, url: str) -> None:
        self._engine = engine
        self._writer = writer(engine)
        self._presence = Presence(engine.url)
        self._url = url
        self._optuna: OptunaStorage | None = None
        self._cached_optuna: BaseStorage | None = None
        self._opening = threading.Lock()

    @classmethod
    def open(cls, url: str, *, create: bool = False) -> Self:
        """Open a database; with `create`, make it (or our tables beside Optuna's) where it does not exist.

        Raises:
            StorageError: missing, not reachable now, no database, its driver not installed, or of an older or newer
                version; the message says what to do.
        """
        engine = make_engine(parse(url))
        try:
            (table_versions.must_have_a_place if create else table_versions.must_exist)(url)
            with translated(url):
                table_versions.refuse_newer(engine, url)
                table_versions.refuse_older(engine, url)
                if table_versions.version_of(engine) is None:
                    if not create:
                        raise StorageError(f"{redact(url)} holds no study yet. `dcasearch run STUDY.yaml` starts one.")
                    table_versions.migrate(engine)
            if salvage.wanted() and not create:
                with translated(url):
                    return cls(salvage.salvaged(engine), url)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine, url)

    @property
    def url(self) -> str:
        """The database, as it may be shown: its whole path, no password."""
        return redact(whole(self._url))

    @property
    def secret(self) -> str | None:
        """The database's password, for those who must keep it from others."""
        return password_of(self._url)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a store stays in its process: its pickle would hold the database's password")

    @property
    @outlasting
    def optuna(self) -> BaseStorage:
        """Optuna's storage in the same database, cached; opened (and its tables made) on first use.

        Raises:
            StorageError: its tables are of another version than the installed Optuna.
        """
        from optuna.storages import get_storage

        from dcasearch.store.optuna_storage import open_optuna

        with self._opening:
            if self._cached_optuna is None:
                self._optuna = open_optuna(self._url, self._engine)
                self._cached_optuna = get_storage(self._optuna)
            return self._cached_optuna

    def forget_optuna(self) -> None:
        """Close Optuna's storage, whose cache knows the names of before; the next use opens it anew."""
        with self._opening:
            if self._optuna is not None:
                self._optuna.close()
            self._optuna = self._cached_optuna = None

    def close(self) -> None:
        """Close the connections; the store can be used no more."""
        if self._optuna is not None:
            self._optuna.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def lease(self, study: str, *, noted: bool = True) -> Lease:
        """Return the context in which this process alone drives a study (StudyLocked on entering if another does).

        Args:
            study: its name.
            noted: whether this is a run of the study, which `last_run` returns later.
        """
        return Lease(self.writing, study, noted=noted)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that reads."""
        self._presence.check()
        with translated(self._url), Session(self._engine) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Give a session whose transaction is written at its end, or not at all."""
        self._presence.check()
        with translated(self._url), Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session
        self._presence.check_written()

    def flush_optuna(self) -> None:
        """Write what Optuna's storage keeps: our row of a trial never knows parameters that Optuna's does not."""
        if self._optuna is not None:
            self._optuna.flush()


def portions(ids: Iterable[str]) -> Iterator[list[str]]:
    """Yield ids, each once and sorted, as many at once as a query takes."""
    wanted = sorted(set(ids))
    for start in range(0, len(wanted), _AT_ONCE):
        yield wanted[start : start + _AT_ONCE]
