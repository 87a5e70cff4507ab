"""Which version of our tables a database holds, and how it gets to this package's version (Alembic).

Optuna owns the table `alembic_version`; a revision of ours in it makes Optuna refuse the database, so our
own version stands in a table of its own.
"""

from __future__ import annotations

import logging
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from dcasearch.errors import StorageError
from dcasearch.store.engine import changing_tables, make_engine
from dcasearch.store.outage import translated
from dcasearch.store.urls import parse, redact

VERSION_TABLE = "dcasearch_alembic_version"


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
    with changing_tables(engine) as connection:
        command.upgrade(_config(connection), revision)


def version_of(engine: Engine) -> str | None:
    """Return the revision of our tables, or None where there are none."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        return context.get_current_revision()


def refuse_newer(engine: Engine, url: str) -> None:
    """Raise StorageError where our tables are of a version that this package does not know."""
    found, script = version_of(engine), ScriptDirectory.from_config(_config())
    if found is not None and found not in {revision.revision for revision in script.walk_revisions()}:
        raise StorageError(
            f"{redact(url)} was written by a newer dcasearch (schema {found}; this one knows up to "
            f"{script.get_current_head()}). Upgrade with `pip install --upgrade dcasearch`."
        )


def refuse_older(engine: Engine, url: str) -> None:
    """Raise StorageError where our tables are there, but behind this package's version."""
    found = version_of(engine)
    if found not in (None, ScriptDirectory.from_config(_config()).get_current_head()):
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


def _is_file(url: str) -> bool:
    return Path(parse(url).database or "").is_file()


def _config(connection: Connection | None = None) -> Config:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of every migration context it makes
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
