"""Other clients of a store's database: plain SQL, plain Optuna."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optuna.storages import RDBStorage
from sqlalchemy import create_engine, inspect, text

from dcasearch.store.urls import parse


def run(url: str, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Execute a statement and return its rows, if it has any."""
    engine = create_engine(parse(url))
    with engine.begin() as connection:
        result = connection.execute(text(statement), values)
        rows = [tuple(row) for row in result] if result.returns_rows else []
    engine.dispose()
    return rows


def tables(url: str) -> set[str]:
    engine = create_engine(parse(url))
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


@contextmanager
def plain_optuna(url: str) -> Iterator[RDBStorage]:
    """Optuna's storage as anyone opens it, e.g. the dashboard."""
    storage = RDBStorage(url)
    yield storage
    storage.remove_session()
    storage.engine.dispose()
