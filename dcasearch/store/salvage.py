"""A database of which some rows are damaged: what is whole is copied into memory, and each other row is named.

Reading commands fall back on it, so that one broken row does not hide the study. Nothing is written to the database.
"""

from __future__ import annotations

import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, get_args

from pydantic import ValidationError
from sqlalchemy import JSON, DateTime, Engine, Enum, Table, create_engine, inspect
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from dcasearch.architecture import Architecture
from dcasearch.bounds import STORED
from dcasearch.config.study import Study
from dcasearch.errors import DcasearchError, FailureKind, mistakes_of
from dcasearch.evaluation import Evaluation
from dcasearch.metrics import METRICS
from dcasearch.store import records
from dcasearch.store.tables import (
    ArchitectureRow,
    Base,
    ClaimRow,
    CostRow,
    DeviceRow,
    EvaluationRow,
    LeaseRow,
    MeasurementRow,
    RequestRow,
    RoleRow,
    RunRow,
    StudyRow,
    TrialRow,
    ValueRow,
)
from dcasearch.trial import Origin, State

logger = logging.getLogger(__name__)
_MOST = 20
"""Damaged rows that are named; of more only their number is said."""
_LONGEST = 1e10
"""Seconds of a training: three hundred years."""
_ROLES = ("baseline", "final", "parent")
_PROTOCOLS = ("search", "test", "paper")
_MEASURED = (State.COMPLETE, State.PRUNED, State.DUPLICATE)
BROKEN = (DcasearchError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a damaged value raises."""
_found: ContextVar[list[str] | None] = ContextVar("found", default=None)


@contextmanager
def salvaging() -> Iterator[list[str]]:
    """Let every store that is opened for reading in the block hold the undamaged rows alone.

    Gives a list that takes a line for each damaged row.
    """
    damage: list[str] = []
    token = _found.set(damage)
    try:
        yield damage
    finally:
        _found.reset(token)


def wanted() -> bool:
    """Tell whether stores are opened without their damaged rows."""
    return _found.get() is not None


def salvaged(engine: Engine) -> Engine:
    """Return a database in memory with all rows that are whole; the others are logged, each by its name."""
    memory = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(memory)
    copy = _Copy(engine)
    with Session(memory) as session:
        session.add_all(copy.rows())
        session.commit()
    if (found := _found.get()) is not None:
        found.extend(copy.damage)
    for line in copy.damage[:_MOST]:
        logger.warning("damaged and left out: %s", line)
    if len(copy.damage) > _MOST:
        logger.warning("damaged and left out: %d further rows", len(copy.damage) - _MOST)
    return memory


def damage_of(engine: Engine) -> list[str]:
    """Return a line for each damaged row of our tables, also for a study that this version cannot run."""
    copy = _Copy(engine, to_run=True)
    for _ in copy.rows():
        pass
    return copy.damage


class _Copy:
    """The rows of a database that are whole, and a line for each that is not."""

    def __init__(self, engine: Engine, *, to_run: bool = False) -> None:
        self.damage: list[str] = []
        self._engine, self._to_run = engine, to_run
        self._studies: set[str] = set()
        self._architectures: set[str] = set()
        self._evaluations: dict[str, Evaluation] = {}

    def rows(self) -> Iterator[Base]:
        """Yield them; a row comes after all that it names."""
        checks: tuple[tuple[type[Base], Callable[[Any], str | None]], ...] = (
            (StudyRow, self._study),
            (ArchitectureRow, self._architecture),
            (EvaluationRow, self._evaluation),
            (CostRow, self._cost),
            (RoleRow, self._role),
            (MeasurementRow, self._measurement),
            *((plain, lambda row: None) for plain in (LeaseRow, RunRow, ClaimRow, RequestRow, DeviceRow)),
        )
        for kind, check in checks:
            yield from self._whole(kind, check)
        yield from self._values()
        yield from self._trials()

    def _whole(self, kind: type[Base], check: Callable[[Any], str | None]) -> Iterator[Any]:
        for values in raw_rows(self._engine, kind.metadata.tables[kind.__tablename__]):
            try:
                row = kind(**_typed(kind, values))
                fault = check(row)
            except BROKEN as error:
                fault = fault_of(error)
            if fault is None:
                yield row
            else:
                self._note(kind, values, fault)

    def _note(self, kind: type[Base], values: Mapping[str, Any], fault: str) -> None:
        table = kind.__tablename__.removeprefix("dca_")
        what = "study" if kind is StudyRow else table.removesuffix("s")
        key = [str(values.get(column.name))[:80] for column in inspect(kind).primary_key]
        self.damage.append(f"{what} {' '.join(key)}: {fault[:200]}")

    def _study(self, row: StudyRow) -> str | None:
        if not isinstance(row.meaning, dict) or not isinstance(row.data, dict | None):
            return "its meaning is no mapping"
        if self._to_run:
            Study.model_validate_json(row.resolved, context=STORED)
        self._studies.add(row.name)
        return None

    def _architecture(self, row: ArchitectureRow) -> str | None:
        if Architecture.parse(row.written, stored=True).id != row.id:
            return "it is another network than its id says"
        self._architectures.add(row.id)
        return None

    def _evaluation(self, row: EvaluationRow) -> str | None:
        evaluation = records.evaluation_of(row)
        if evaluation.key.id != row.id:
            return "its id is not that of its key"
        for epoch in evaluation.history:
            numbers = (epoch.epoch, epoch.train_loss, epoch.seconds, *epoch.values.values())
            if not epoch.values or not all(_is_number(number) for number in numbers):
                return "its history holds what is no number"
            if not epoch.values.keys() <= METRICS.keys() or not _all(str, [epoch.device]):
                return "its history holds an unknown metric"
            if not all(map(_is_number, [*epoch.of_classes.values(), *epoch.alphas.values()])):
                return "its history holds what is no number"
        if len({frozenset(epoch.values) for epoch in evaluation.history}) != 1 or not evaluation.best:
            return "its history is empty or uneven"
        if row.protocol not in _PROTOCOLS or not _mapping(row.provenance, str):
            return "its protocol or its provenance is unknown"
        if not all(0 <= seconds < _LONGEST for seconds in (row.seconds, row.reused_seconds)):
            return "its seconds are none that a training takes"
        if row.architecture_id not in self._architectures:
            return f"its architecture {row.architecture_id} is damaged or missing"
        self._evaluations[row.id] = evaluation
        return None

    def _values(self) -> Iterator[ValueRow]:
        """Yield what the whole evaluations say; a stored value that is missing, or another one, is noted."""
        stored = {(row.evaluation, row.metric): (row.value, row.best) for row in self._whole(ValueRow, self._value)}
        for evaluation in self._evaluations.values():
            for row in records.value_rows(evaluation):
                if stored.get((row.evaluation, row.metric)) != (row.value, row.best):
                    self.damage.append(f"value {row.evaluation} {row.metric}: its evaluation says {row.value}")
                yield row

    def _value(self, row: ValueRow) -> str | None:
        return None if row.metric in METRICS else "an unknown metric"

    def _cost(self, row: CostRow) -> str | None:
        if row.metric not in METRICS or not math.isfinite(row.value):
            return "an unknown metric, or no number"
        return None if row.architecture_id in self._architectures else "its architecture is damaged or missing"

    def _role(self, row: RoleRow) -> str | None:
        if row.role not in _ROLES or row.failure not in (None, *get_args(FailureKind)):
            return "its role or its failure is unknown"
        return self._names(row)

    def _measurement(self, row: MeasurementRow) -> str | None:
        measurement = records.measurement_of(row)
        if not measurement.values.keys() <= METRICS.keys():
            return "an unknown metric"
        return None if row.architecture_id in self._architectures else "its architecture is damaged or missing"

    def _trials(self) -> Iterator[TrialRow]:
        whole: list[TrialRow] = list(self._whole(TrialRow, self._trial))
        numbers = {(row.study, row.fidelity, row.number) for row in whole}
        counts = Counter((row.study, row.fidelity, len(row.values)) for row in whole if row.values is not None)
        usual = {(study, fidelity): n for (study, fidelity, n), _ in reversed(counts.most_common())}
        for row in whole:
            if row.values is not None and len(row.values) != usual[row.study, row.fidelity]:
                fault = f"it has {len(row.values)} values, the others have {usual[row.study, row.fidelity]}"
            elif row.duplicate_of is not None and (row.study, row.fidelity, row.duplicate_of) not in numbers:
                fault = f"trial {row.duplicate_of}, of which it is a duplicate, is damaged or missing"
            else:
                yield row
                continue
            self._note(TrialRow, {c.name: getattr(row, c.name) for c in TrialRow.__table__.columns}, fault)

    def _trial(self, row: TrialRow) -> str | None:
        state = State(row.state)
        if row.origin not in get_args(Origin) or row.failure not in (None, *get_args(FailureKind)) or row.number < 0:
            return "its origin, its failure or its number is unknown"
        if not _mapping(row.params, str | int | float | bool | None) or not _mapping(
            row.attributes, str | int | float | bool | None
        ):
            return "its params or attributes are no mapping of plain values"
        if row.values is not None and not (row.values and isinstance(row.values, list) and _all(float, row.values)):
            return "its values are no numbers"
        if row.origin.startswith("promoted"):
            source, probability = row.attributes.get("of"), row.attributes.get("probability")
            if not isinstance(source, int) or not isinstance(probability, int | float) or not 0 < probability <= 1:
                return "it does not say which trial was promoted"
        if state is State.COMPLETE and (row.values is None or row.evaluation is None):
            return "it is complete, and has no values or no evaluation"
        if state in _MEASURED and row.evaluation is not None and row.evaluation not in self._evaluations:
            return f"its evaluation {row.evaluation} is damaged or missing"
        if row.study not in self._studies:
            return f"its study {row.study} is damaged or missing"
        return None if row.architecture_id in self._architectures else "its architecture is damaged or missing"

    def _names(self, row: RoleRow) -> str | None:
        if row.study not in self._studies:
            return f"its study {row.study} is damaged or missing"
        if row.evaluation is not None and row.evaluation not in self._evaluations:
            return f"its evaluation {row.evaluation} is damaged or missing"
        return None if row.architecture_id in self._architectures else "its architecture is damaged or missing"


def raw_rows(engine: Engine, table: Table) -> Iterator[dict[str, Any]]:
    """Yield rows as the driver gives them: a value that its column's type cannot read ends nothing here."""
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            driver: Any = connection.connection.dbapi_connection
            driver.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            names = {column["name"] for column in inspect(connection).get_columns(table.name)}
            columns = [column.name for column in table.columns if column.name in names]
            quoted = ", ".join(f'"{name}"' for name in columns)
            for row in connection.exec_driver_sql(f"SELECT {quoted} FROM {table.name}"):
                yield dict(zip(columns, row, strict=True))
        finally:
            connection.invalidate()  # so that nobody else reads with this text factory


def fault_of(error: Exception) -> str:
    """Return in a line what is wrong with a value whose reading raised an error."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, ValidationError):
        return mistakes_of(error, "its document")[0]
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _typed(kind: type[Base], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's values by attribute, each as its column's type.

    Raises:
        ValueError: one of them is not of that type.
    """
    mapper = inspect(kind)
    found = {}
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if column.name in values:
            found[attribute.key] = of_type(column, values[column.name])
    return found


def of_type(column: Any, value: Any) -> Any:
    """Return a value as its column's type.

    Raises:
        ValueError: it is not of that type.
    """
    if value is None:
        if not column.nullable:
            raise ValueError(f"{column.name} is missing")
        return None
    if isinstance(column.type, JSON):
        return json.loads(value) if isinstance(value, str | bytes) else value
    if isinstance(column.type, Enum):
        if value not in column.type.enums:
            raise ValueError(f"{column.name} '{str(value)[:80]}' is none of {', '.join(column.type.enums)}")
        return value
    wanted = column.type.python_type
    if isinstance(getattr(column.type, "impl", column.type), DateTime) or wanted is datetime:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime):
            raise ValueError(f"{column.name} is no time")
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if wanted is float and _is_number(value):
        return float(value)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ValueError(f"{column.name} is {type(value).__name__}, not {wanted.__name__}")
    if wanted is int and not -(2**63) <= value < 2**63:
        raise ValueError(f"{column.name} is out of range")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _all(kind: type, values: list[Any]) -> bool:
    return all(_is_number(value) if kind is float else isinstance(value, kind) for value in values)


def _mapping(found: object, values: Any) -> bool:
    return isinstance(found, dict) and all(isinstance(k, str) and isinstance(v, values) for k, v in found.items())
