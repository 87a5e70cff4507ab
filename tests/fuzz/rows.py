"""Damage to single rows of a study's database."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

TABLES = ("studies", "architectures", "costs", "evaluations", "values", "trials", "roles", "runs", "leases", "devices")
HOSTILE: tuple[Any, ...] = (
    *(None, "", "weird", "{", "[]", "{}", "null", "true", '"text"', "[1]", '["a"]', '{"a": 1}', '{"a": [1]}', "[[1]]"),
    *(0, -1, 1, 2**31, 2**63 - 1, -(2**63), 1.5, float("inf"), -1e308, 1e308, b"", b"\xff\xfe", "9" * 5000),
    *("[" * 20_000, '{"a":' * 5000, "2026-99-99 00:00:00", "2999-01-01 00:00:00", "NaN"),
    *("\x00", "\ud7ff", "a\nb", "complete", '[{"epoch": 1}]'),
    *('[{"epoch": "x", "train_loss": 1, "seconds": 1, "top1": 1}]', '{"backbone": {"name": "resnet999"}}'),
)  # fmt: skip


@dataclass(frozen=True)
class Damage:
    """One change of one row."""

    table: str
    column: int
    row: int
    value: Any
    """What is written; DELETE for the whole row."""
    prefix: str = "dca_"
    """Of the table's name; Optuna's tables have none."""


DELETE = object()
damages = st.builds(
    Damage,
    table=st.sampled_from(TABLES),
    column=st.integers(0, 30),
    row=st.integers(0, 30),
    value=st.sampled_from((*HOSTILE, DELETE)),
)


def spoil_rows(file: Path, changes: list[Damage]) -> None:
    """Damage a database of SQLite where its tables allow it."""
    connection = sqlite3.connect(file)
    for change in changes:
        table = f"{change.prefix}{change.table}"
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        rows = [row[0] for row in connection.execute(f"SELECT rowid FROM {table}")]
        if not rows:
            continue
        row, column = rows[change.row % len(rows)], columns[change.column % len(columns)]
        try:
            if change.value is DELETE:
                connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))
            else:
                connection.execute(f'UPDATE {table} SET "{column}" = ? WHERE rowid = ?', (change.value, row))
        except sqlite3.IntegrityError:  # the table itself refuses it
            continue
    connection.commit()
    connection.close()
