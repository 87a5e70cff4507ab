"""Storage URLs: the default one, the ones we open, and how they are shown without their passwords."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from dcasearch.config.study import Study
from dcasearch.errors import StorageError
from dcasearch.files import expanded
from dcasearch.masking import HIDDEN, is_secret, masked_url

VARIABLE = "DCASEARCH_STORAGE"
DEFAULT = "sqlite:///dcasearch.db"
_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = "postgresql+psycopg"
_EXAMPLE = "Write e.g. sqlite:///dcasearch.db (in this folder) or postgresql+psycopg://user:password@host/database"


def default_url() -> str:
    """Return the storage of a command that was told none: `DCASEARCH_STORAGE`, else a file in this folder."""
    return unmasked(os.environ.get(VARIABLE) or DEFAULT)


def storage_of(study: Study) -> str:
    """Return the storage of a study: the one that its YAML names, else the default one."""
    return unmasked(study.storage) if "storage" in study.model_fields_set else default_url()


def unmasked(url: str) -> str:
    """Return a URL that a user, or a file of the user's, names.

    Raises:
        StorageError: its password is masked, as where a URL was copied from a command's output: `***` logs in nowhere.
    """
    if f":{HIDDEN}@" in url or f"={HIDDEN}" in url:
        raise StorageError(
            f"{redact(url)}: its password is masked, so it was not used. Give the whole URL in {VARIABLE} or by "
            "--storage, or keep the password in ~/.pgpass."
        )
    return url


def redact(url: str) -> str:
    """Return a URL for people to read: every password in it, also one among its options, is replaced by ***.

    A text that is no URL is not shown at all, since nobody can tell where its password would be.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "the given storage URL"
    if _is_ambiguous(parsed):
        return masked_url(url)
    secret = [name for name in parsed.query if is_secret(name)]
    return parsed.update_query_dict(dict.fromkeys(secret, HIDDEN)).render_as_string(hide_password=True)


def without_password(url: str) -> str:
    """Return a URL that may be kept: whoever opens it must have the password from elsewhere, e.g. from ~/.pgpass."""
    parsed = parse(url)
    bare = parsed.difference_update_query([name for name in parsed.query if is_secret(name)])
    return URL.create(
        bare.drivername, bare.username, None, bare.host, bare.port, bare.database, bare.query
    ).render_as_string()


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
    if _is_ambiguous(parsed):
        raise StorageError(f"{redact(url)} has several @: write %40 for each @ of the password. {_EXAMPLE}.")
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
    return parsed.set(database=str(expanded(parsed.database).absolute()))


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
    path = str((folder / expanded(parsed.database)).absolute())
    return parsed.set(database=path).render_as_string(hide_password=False)


def whole(url: str) -> str:
    """Return a URL as it is given to a driver, its password in it: never to be shown."""
    return parse(url).render_as_string(hide_password=False)


def password_of(url: str) -> str | None:
    """Return the password in a URL, before its host or among its options, or None."""
    return next(iter(secrets_of(parse(url))), None)


def secrets_of(url: URL) -> tuple[str, ...]:
    """Return all that must stay secret in a URL: its password first, then the values of such options."""
    options = (value for name, value in url.query.items() if is_secret(name))
    found = [] if not url.password else [url.password]
    return (*found, *(one for value in options for one in ((value,) if isinstance(value, str) else value) if one))


def secrets_in(text: str) -> tuple[str, ...]:
    """Return the secrets of what may be a URL, also a masked one; none of a text that is no URL."""
    try:
        found = secrets_of(make_url(text))
    except (ArgumentError, ValueError):
        return ()
    return tuple(secret for secret in found if secret != HIDDEN)


def _is_ambiguous(url: URL) -> bool:
    """Tell whether an @ of the password was not escaped: a part of the password then stands in the host."""
    return "@" in (url.host or "") or ("@" in (url.database or "") and url.drivername not in _SQLITE)
