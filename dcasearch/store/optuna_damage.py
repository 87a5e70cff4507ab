"""Damaged rows of Optuna's tables: a value of another type, JSON that cannot be read, a row that names no other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from optuna.distributions import json_to_distribution
from sqlalchemy import Engine, Table, inspect

from dcasearch.store.optuna_private import TRIALS
from dcasearch.store.salvage import BROKEN, fault_of, of_type, raw_rows

_MAY_BE_EMPTY = {
    *("datetime_start", "datetime_complete"),
    *("value", "intermediate_value"),  # their type says which number they stand for
}


def damage_of(engine: Engine) -> list[str]:
    """Return a line for each damaged row; none where Optuna has no tables yet."""
    there = set(inspect(engine).get_table_names())
    known: dict[str, set[Any]] = {}
    """Table -> the keys of its rows."""
    damage = []
    for table in TRIALS.metadata.sorted_tables:  # each after those that it refers to
        if table.name not in there:
            continue
        (key,) = table.primary_key.columns
        known[table.name] = set()
        for row in raw_rows(engine, table):
            known[table.name].add(row[key.name])
            if fault := _fault(table, row, known):
                damage.append(f"Optuna's {table.name} {str(row[key.name])[:80]}: {fault[:200]}")
    return damage


def _fault(table: Table, row: Mapping[str, Any], known: Mapping[str, set[Any]]) -> str | None:
    try:
        for column in table.columns:
            value = of_type(column, row[column.name])
            if value is None and column.name not in _MAY_BE_EMPTY:
                return f"{column.name} is missing"
            for reference in column.foreign_keys:
                if value not in known[reference.column.table.name]:
                    return f"{column.name} {value} is no row of {reference.column.table.name}"
        for name in ("value", "intermediate_value"):
            kind = row.get(f"{name}_type")
            if kind is not None and (row[name] is None) == (kind == "FINITE"):
                return f"{name} {row[name]} is not {kind}"
        if "value_json" in row:
            json.loads(row["value_json"])
        if "distribution_json" in row:
            json_to_distribution(row["distribution_json"]).to_external_repr(row["param_value"])
    except BROKEN as error:
        return fault_of(error)
    return None
