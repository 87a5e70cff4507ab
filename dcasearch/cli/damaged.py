"""Reading commands and a database with damaged rows: the rows are named, everything else is shown."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import typer

from dcasearch.errors import ArchitectureError, ConfigError, DcasearchError, StorageError

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
