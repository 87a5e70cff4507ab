"""Which rows of a database are damaged: asked after a command has failed, so that its message can name them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy.exc import SQLAlchemyError

from dcasearch.store import salvage
from dcasearch.store.engine import make_engine
from dcasearch.store.urls import parse

_opened: ContextVar[list[str] | None] = ContextVar("opened", default=None)


@contextmanager
def noting_opened() -> Iterator[list[str]]:
    """Give a list that takes the URL of every database that is opened in the block, its password in it."""
    urls: list[str] = []
    token = _opened.set(urls)
    try:
        yield urls
    finally:
        _opened.reset(token)


def note_opened(url: str) -> None:
    """Note that a database is opened."""
    if (urls := _opened.get()) is not None and url not in urls:
        urls.append(url)


def damage_in(url: str) -> list[str]:
    """Return a line for each damaged row of our tables and of Optuna's; none of a database that cannot be read."""
    from dcasearch.store.optuna_damage import damage_of  # reading commands do not wait for Optuna

    engine = make_engine(parse(url))
    try:
        return [*salvage.damage_of(engine), *damage_of(engine)]
    except SQLAlchemyError:  # the command's own error says what is wrong with the database
        return []
    finally:
        engine.dispose()
