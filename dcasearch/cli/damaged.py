"""A database with damaged rows: a command that reads shows all others, one that writes refuses; both name the rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import typer

from dcasearch.errors import ArchitectureError, ConfigError, DcasearchError, StorageError
from dcasearch.wording import counted, in_one_line

SHOWN_ROWS = 20
"""Damaged rows that are named; of others their number is told."""
P = ParamSpec("P")
T = TypeVar("T")


def leaving_out_damaged(command: Callable[P, T]) -> Callable[P, T]:
    """Let a command that only reads be done once more, without the damaged rows, where it fails on some."""

    @wraps(command)
    def done(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except (OSError, typer.Exit, typer.Abort):
            raise
        except Exception as error:
            if not _may_be_damage(error):
                raise
            return _once_more(command, error, *args, **kwargs)

    return done


def naming_damaged(command: Callable[P, T]) -> Callable[P, T]:
    """Let a command that leaves no row out say which rows are damaged, where it fails on some."""

    @wraps(command)
    def done(*args: P.args, **kwargs: P.kwargs) -> T:
        from dcasearch.store.damage import noting_opened

        with noting_opened() as urls:
            try:
                return command(*args, **kwargs)
            except (OSError, typer.Exit, typer.Abort):
                raise
            except Exception as error:
                if _may_be_damage(error):
                    _refuse_damaged(urls, error)
                raise

    return done


def _refuse_damaged(urls: list[str], error: Exception) -> None:
    """Raise a StorageError that names the damaged rows of databases, where there are some."""
    from dcasearch.store import redact
    from dcasearch.store.damage import damage_in

    for url in urls:
        if damage := damage_in(url):
            lines = damage[:SHOWN_ROWS]
            if more := len(damage) - len(lines):
                lines.append(f"and {counted(more, 'further row')}")
            raise StorageError(
                f"{redact(url)}: {counted(damage, 'row is', 'rows are')} damaged, and this command leaves none out:\n  "
                + "\n  ".join(map(in_one_line, lines))
                + "\nPut a copy of the database back. `dcasearch status STUDY` shows what is whole."
            ) from error


def _may_be_damage(error: Exception) -> bool:
    """Tell whether stored rows may be the cause; an error of the user's, or of a database that is away, is none."""
    if not isinstance(error, DcasearchError):
        return True
    from dcasearch.store.outage import Away
    from dcasearch.store.presence import DatabaseGone

    of_rows = isinstance(error, StorageError | ArchitectureError | ConfigError)
    return of_rows and not isinstance(error, Away | DatabaseGone)


def _once_more(command: Callable[P, T], first: Exception, *args: P.args, **kwargs: P.kwargs) -> T:
    from dcasearch.store.salvage import salvaging

    with salvaging() as damage:
        try:
            return command(*args, **kwargs)
        except Exception:
            if damage:
                raise
            raise first from None  # nothing is damaged: the first error is the one to tell
