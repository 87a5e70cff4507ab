"""The trials of a study as rows of plain values, chosen by conditions and sorted."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeGuard

from dcasearch.analysis.naming import sentences_of
from dcasearch.analysis.standing import load_study_of
from dcasearch.config.numbers import number_in
from dcasearch.errors import UserError, nearest
from dcasearch.metrics import METRICS, SCORE, TASKS, costs
from dcasearch.store import Store
from dcasearch.trial import State, Trial

Cell: TypeAlias = str | int | float | bool | None
Row: TypeAlias = Mapping[str, Cell]
_CONDITION = re.compile(r"\s*([\w.]+)\s*(<=|>=|!=|=|<|>|~)\s*(.+?)\s*")
_ORDERS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class TrialTable:
    """Trials with what is known of each; every row has every column."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    headline: str
    """Name of the metric that views compare."""

    def where(self, conditions: Iterable[str]) -> TrialTable:
        """Return the rows that all conditions hold for, e.g. `state=complete`, `params<1.5M`, `network~dense`.

        `=` and `!=` compare values as they are shown, `<` and its like compare numbers, `~` asks whether a text holds
        another. A value that is not there fulfils only `!=`.

        Raises:
            UserError: a condition is none, or of no column.
        """
        rows = self.rows
        for text in conditions:
            holds = self._condition(text)
            rows = tuple(row for row in rows if holds(row))
        return replace(self, rows=rows)

    def sorted_by(self, column: str) -> TrialTable:
        """Return the rows in the order of a column, with `-` before it the largest first; those without a value last.

        Raises:
            UserError: there is no such column.
        """
        name = self._known(column.removeprefix("-"))
        there = [row for row in self.rows if row[name] is not None]
        missing = [row for row in self.rows if row[name] is None]
        numbers = all(_is_number(row[name]) for row in there)
        key: Callable[[Row], Any] = (lambda row: row[name]) if numbers else (lambda row: str(row[name]))
        ordered = sorted(there, key=key, reverse=column.startswith("-"))
        return replace(self, rows=(*ordered, *missing))

    def _known(self, column: str) -> str:
        if column not in self.columns:
            raise UserError(f"'{column}' is not a column; {nearest(column, self.columns)}")
        return column

    def _condition(self, text: str) -> Callable[[Row], bool]:
        match = _CONDITION.fullmatch(text)
        if match is None:
            raise UserError(f"'{text}' is no condition; write e.g. state=complete, params<1.5M or network~dense")
        name, sign, wanted = self._known(match[1]), match[2], match[3]
        if sign == "~":
            return lambda row: wanted.lower() in str(row[name] or "").lower()
        if sign in _ORDERS:
            limit = number_in(wanted)
            if limit is None:
                raise UserError(f"'{text}': {sign} compares numbers, and '{wanted}' is none")
            order = _ORDERS[sign]
            return lambda row: _is_number(row[name]) and order(row[name], limit)
        return lambda row: _equal(row[name], wanted) is (sign == "=")


def _is_number(value: Cell) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(value: Cell, wanted: str) -> bool:
    """Return whether a value is what is written: numbers as numbers, all else as it is shown."""
    number = number_in(wanted)
    if _is_number(value) and number is not None:
        return math.isclose(value, number)
    return value is not None and str(value) == wanted


def trials_of(store: Store, name: str, fidelity: str | None = None) -> TrialTable:
    """Return the trials of a study, or of one of its fidelities.

    Raises:
        UserError: the database holds no such study, or the study has no such fidelity.
    """
    study = load_study_of(store, name)
    known = [level.name for level in study.fidelities]
    if fidelity is not None and fidelity not in known:
        raise UserError(f"study '{name}' has no fidelity '{fidelity}'; {nearest(fidelity, known)}")
    trials = [trial for level in known if fidelity in (None, level) for trial in store.trials(name, level)]
    record = store.get_study(name)
    classes = 0 if record is None else int(record.meaning.get("data.classes", 0))
    resolution = study.fidelities[-1].resolution
    words = sentences_of(store, (trial.architecture_id for trial in trials)).of
    ids = [trial.evaluation for trial in trials if trial.evaluation is not None]
    measured: dict[str, Mapping[str, float]] = {key.id: values for key, values in store.measured(ids).items()}
    cost = {id: store.get_costs(id, resolution, classes) for id in words}
    known_metrics = (*TASKS[study.task].measurable, SCORE.name)
    scored = {level.name for level in study.fidelities if level.kind == "zero_cost"}
    for trial in trials:
        if trial.fidelity in scored and trial.evaluation is not None and trial.values is not None:
            measured[trial.evaluation] = {SCORE.name: trial.values[0]}
    metrics = [metric for metric in known_metrics if any(metric in values for values in measured.values())]
    axes = sorted({axis for trial in trials for axis in trial.params})
    head = ("fidelity", "trial", "state", "network")
    tail = ("seed", "epochs", "origin", "architecture", "duplicate_of", "failure", "message", "constraint")
    columns = (*head, *metrics, *(name for name in costs() if not METRICS[name].of_device), *tail)
    rows = [_row(trial, words, measured, cost) for trial in trials]
    every = (*columns, *(f"params.{axis}" for axis in axes))
    complete = tuple({column: row.get(column) for column in every} for row in rows)
    return TrialTable(every, complete, study.headline.name)


def _row(
    trial: Trial,
    words: Mapping[str, str],
    measured: Mapping[str, Mapping[str, float]],
    cost: Mapping[str, Mapping[str, float]],
) -> dict[str, Cell]:
    return {
        "fidelity": trial.fidelity,
        "trial": trial.number,
        "state": str(trial.state),
        "network": f"{trial.label}: {words[trial.architecture_id]}" if trial.label else words[trial.architecture_id],
        **(measured.get(trial.evaluation or "", {}) if trial.values is not None else {}),
        **cost.get(trial.architecture_id, {}),
        "seed": trial.seed,
        "epochs": trial.epochs,
        "origin": trial.origin,
        "architecture": trial.architecture_id,
        "duplicate_of": trial.duplicate_of,
        "failure": trial.failure,
        "message": trial.message or None,
        "constraint": trial.constraint,
        **{f"params.{axis}": value for axis, value in trial.params.items()},
    }


def why(trial: Trial) -> str:
    """Return what explains a trial's state, in a few words."""
    if trial.state is State.INFEASIBLE:
        return trial.constraint or ""
    if trial.state in (State.DUPLICATE, State.WAITING):
        return f"of trial {trial.duplicate_of}"
    if trial.state is State.PRUNED:
        return f"after epoch {trial.epochs}"
    if trial.state is State.FAILED:
        return f"{trial.failure}: {trial.message}"
    if trial.origin.startswith("promoted"):
        return f"trial {trial.attributes.get('of')} before: {trial.attributes.get('reason')}"
    return trial.origin
