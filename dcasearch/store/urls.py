"""Storage URLs: the default one, the ones we open, and how they are shown without their passwords."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from dcasearch.config.study import Study
from dcasearch.errors import StorageError

VARIABLE = "DCASEARCH_STORAGE"
DEFAULT = "sqlite:///dcasearch.db"
_HIDDEN = "***"
_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = "postgresql+psycopg"
_EXAMPLE = "Write e.g. sqlite:///dcasearch.db (in this folder) or postgresql+psycopg://user:password@host/database"


def default_url() -> str:
    """Return the storage of a command that was told none: `DCASEARCH_STORAGE`, else a file in this folder."""
    return os.environ.get(VARIABLE) or DEFAULT


def storage_of(study: Study) -> str:
    """Return the storage of a study: the one that its YAML names, else the default one."""
    return study.storage if "storage" in study.model_fields_set else default_url()


def redact(url: str) -> str:
    """Return a URL for people to read: every password in it, also one among its options, is replaced by ***.

    A text that is no URL is not shown at all, since nobody can tell where its password would be.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "the given storage URL"
    secret = [name for name in parsed.query if _is_secret(name)]
    return parsed.update_query_dict(dict.fromkeys(secret, _HIDDEN)).render_as_string(hide_password=True)


def parse(url: str) -> URL:
    """Return the URL of a database that can be opened, a relative path of a file made absolute.

    `postgresql://` and `postgres://` mean psycopg 3, the one driver that we know.

    Raises:
        StorageError: no URL, a database we do not know, or no file (a study in memory could not be resumed).
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Not chained and not quoted: the text may hold a password.
        raise StorageError(f"The storage is not a database URL. {_EXAMPLE}.") from None
    if parsed.drivername in (_POSTGRESQL, "postgresql", "postgres"):
        if not parsed.database:
            raise StorageError(f"{redact(url)} names no database. {_EXAMPLE}.")
        return parsed.set(drivername=_POSTGRESQL)
    if parsed.drivername not in _SQLITE:
        raise StorageError(
            f"{redact(url)}: SQLite and PostgreSQL (psycopg) are known, not '{parsed.drivername}'. {_EXAMPLE}."
        )
    if parsed.query or parsed.host or not parsed.database or parsed.database == ":memory:":
        raise StorageError(f"{redact(url)}: a SQLite storage is one file, without options. {_EXAMPLE}.")
    return parsed.set(database=str(Path(parsed.database).expanduser().absolute()))


def anchored(url: str, folder: Path) -> str:
    """Return a URL whose relative SQLite file is one below a folder; every other URL stays as it is.

    A text that cannot be opened stays as it is too: `parse` says what is wrong with it.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return url
    if parsed.drivername not in _SQLITE or not parsed.database or parsed.database == ":memory:":
        return url
    path = str((folder / Path(parsed.database).expanduser()).absolute())
    return parsed.set(database=path).render_as_string(hide_password=False)


def whole(url: str) -> str:
    """Return a URL as it is given to a driver, its password in it: never to be shown."""
    return parse(url).render_as_string(hide_password=False)


def password_of(url: str) -> str | None:
    """Return the password in a URL, before its host or among its options, or None."""
    parsed = parse(url)
    options = (value for name, value in parsed.query.items() if _is_secret(name) and isinstance(value, str))
    return parsed.password or next(options, None)


def _is_secret(option: str) -> bool:
    return "pass" in option.lower()
