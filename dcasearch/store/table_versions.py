"""Which version of our tables a database holds, and how it gets to this package's version (Alembic).

Optuna owns the table `alembic_version`; a revision of ours in it makes Optuna refuse the database, so our
own version stands in a table of its own.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from dcasearch.errors import StorageError
from dcasearch.store.engine import changing_tables, make_engine
from dcasearch.store.outage import translated
from dcasearch.store.urls import parse, redact

if TYPE_CHECKING:  # Alembic takes a tenth of a second to import, and a database of this version needs none of it
    from alembic.config import Config

VERSION_TABLE = "dcasearch_alembic_version"
HEAD = "0008"
"""The newest revision: this package's version of the tables."""


def upgrade(url: str) -> None:
    """Bring our tables and Optuna's in an existing database to the versions installed here; repeatable.

    Raises:
        StorageError: no such database, or one of a newer version.
    """
    must_exist(url)
    engine = make_engine(parse(url))
    try:
        with translated(url):
            refuse_newer(engine, url)
            migrate(engine)
    finally:
        engine.dispose()
    from dcasearch.store import optuna_storage  # imports Optuna, which reading commands do not wait for

    optuna_storage.upgrade(url)


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring our tables to a revision, creating them where there are none, in one transaction."""
    from alembic import command

    with changing_tables(engine) as connection:
        command.upgrade(_config(connection), revision)


def version_of(engine: Engine) -> str | None:
    """Return the revision of our tables, or None where there are none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(VERSION_TABLE):
            return None
        found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
        return None if found is None else str(found)


def refuse_newer(engine: Engine, url: str) -> None:
    """Raise StorageError where our tables are of a version that this package does not know."""
    found = version_of(engine)
    if found in (None, HEAD):
        return
    from alembic.script import ScriptDirectory

    known = {revision.revision for revision in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found not in known:
        raise StorageError(
            f"{redact(url)} was written by a newer dcasearch (schema {found}; this one knows up to {HEAD}). "
            "Upgrade with `pip install --upgrade dcasearch`."
        )


def refuse_older(engine: Engine, url: str) -> None:
    """Raise StorageError where our tables are there, but behind this package's version."""
    found = version_of(engine)
    if found not in (None, HEAD):
        raise StorageError(
            f"{redact(url)} was written by an older dcasearch (schema {found}). "
            f"Run `dcasearch db upgrade --storage {redact(url)}`; it keeps everything."
        )


def exists(url: str) -> bool:
    """Tell whether there is a storage to read: SQLite's file (what is in it `Store.open` finds out), or our tables.

    Raises:
        StorageError: the server of a PostgreSQL database does not answer, or has no such database.
    """
    if parse(url).get_backend_name() == "sqlite":
        return _is_file(url)
    engine = make_engine(parse(url))
    try:
        with translated(url):
            return version_of(engine) is not None
    finally:
        engine.dispose()


def must_exist(url: str) -> None:
    """Raise StorageError where the file of a database is missing, naming it and what makes one."""
    if parse(url).get_backend_name() == "sqlite" and not _is_file(url):
        raise StorageError(
            f"There is no database {redact(str(parse(url)))}. `dcasearch run STUDY.yaml` creates one; "
            "--storage URL or DCASEARCH_STORAGE names another."
        )


def must_have_a_place(url: str) -> None:
    """Raise StorageError where no file of a database could be made or written: its folder is missing, say."""
    parsed = parse(url)
    if parsed.get_backend_name() != "sqlite":
        return
    file = Path(parsed.database or "")
    if file.exists() and not file.is_file():
        raise StorageError(f"{file} is no file; name a file that a database can be made in")
    if not file.parent.is_dir():
        raise StorageError(f"There is no folder {file.parent} for the database; make it, or name another place")
    for place in (file.parent, file) if file.exists() else (file.parent,):
        if not os.access(place, os.W_OK):
            raise StorageError(f"This user may not write {place}; `run` writes the database there")


def _is_file(url: str) -> bool:
    return Path(parse(url).database or "").is_file()


def _config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every migration context it makes
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
