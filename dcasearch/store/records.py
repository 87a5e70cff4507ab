"""Rows to frozen nouns and back; no SQLAlchemy object leaves the room."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar

from dcasearch.errors import StorageError
from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey, fingerprint
from dcasearch.measurement import Measurement, MeasurementKey
from dcasearch.metrics import METRICS, SCORE
from dcasearch.store.tables import (
    CostRow,
    EvaluationRow,
    MeasurementRow,
    RequestRow,
    RoleRow,
    StudyRow,
    TrialRow,
    ValueRow,
)
from dcasearch.trial import Role, State, Trial

logger = logging.getLogger(__name__)
RequestKind: TypeAlias = Literal["stop", "cancel"]
PlainValue = TypeVar("PlainValue", int | float | str, float)


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """A study as it was last run."""

    name: str
    meaning: Mapping[str, Any]
    """What gives its values their meaning and may not change."""
    resolved: str
    """The study with everything resolved (variables, recipes, space), as JSON."""
    data: Mapping[str, Any] | None
    """What its data set says of its images (`dcasearch.data.Source`); None where an older version stored the study."""
    created: datetime


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asked of a running study from elsewhere; it stands until the driver answers it."""

    id: int
    study: str
    kind: RequestKind
    fidelity: str | None
    """Of the trial to cancel; None to stop the study."""
    number: int | None
    made: datetime


def request_of(row: RequestRow) -> Request:
    """Return the request of a row."""
    return Request(**{field.name: getattr(row, field.name) for field in fields(Request)})


def study_of(row: StudyRow) -> StoredStudy:
    """Return the stored study of a row."""
    return StoredStudy(name=row.name, meaning=row.meaning, resolved=row.resolved, data=row.data, created=row.created)


def trial_row(trial: Trial) -> TrialRow:
    """Return a new row of the ledger."""
    values = {name: getattr(trial, name) for name in _TRIAL}
    return TrialRow(**values, params=dict(trial.params), attributes=dict(trial.attributes))


TRIAL_COLUMNS = tuple(getattr(TrialRow, field.name) for field in fields(Trial))
"""What `trial_of` takes, in its order."""


def trial_of(columns: Sequence[Any]) -> Trial:
    """Return the trial of a row's columns; ten thousand of them are read at once, too many for objects of rows."""
    values = dict(zip(_TRIAL_NAMES, columns, strict=True))
    try:
        values["state"] = State(values["state"])
    except ValueError:
        which = f"{values['study']} {values['fidelity']} {values['number']}"
        raise StorageError(
            f"trial {which} is damaged: '{values['state']}' is no state; put a copy of the database back"
        ) from None
    values["values"] = None if values["values"] is None else tuple(values["values"])
    return Trial(**values)


def role_values(role: Role) -> dict[str, Any]:
    """Return the columns of a role."""
    return asdict(role)


def role_of(row: RoleRow) -> Role:
    """Return the role of a row."""
    return Role(**{field.name: getattr(row, field.name) for field in fields(Role)})


def evaluation_row(evaluation: Evaluation) -> EvaluationRow:
    """Return a new row of an evaluation."""
    last, best = evaluation.last, evaluation.best
    return EvaluationRow(
        id=evaluation.key.id,
        **asdict(evaluation.key),
        history=[_epoch_to_json(epoch) for epoch in evaluation.history],
        epochs=last.epoch,
        best_epoch=best.epoch,
        **{name: getattr(evaluation, name) for name in _EVALUATION},
        provenance=dict(evaluation.provenance),
    )


def value_rows(evaluation: Evaluation) -> list[ValueRow]:
    """Return a new row for each metric of an evaluation."""
    last, best = evaluation.last.values, evaluation.best.values
    id = evaluation.key.id
    return [
        ValueRow(evaluation=id, metric=name, value=_finite(value), best=_finite(best[name]))
        for name, value in last.items()
    ]


def cost_rows(id: str, resolution: int, classes: int, costs: Mapping[str, float], device: str) -> list[CostRow]:
    """Return a new row for each cost of an architecture; the device is left out of those that hold for every one."""
    return [
        CostRow(
            architecture_id=id,
            resolution=resolution,
            classes=classes,
            metric=name,
            device=device if METRICS[name].of_device else "",
            value=float(value),
        )
        for name, value in costs.items()
    ]


def costs_of(rows: Iterable[CostRow]) -> dict[str, float]:
    """Return costs by metric; whole numbers are ints again."""
    return {row.metric: int(row.value) if row.value.is_integer() else row.value for row in rows}


def evaluation_of(row: EvaluationRow) -> Evaluation:
    """Return the evaluation of a row, its floats equal to the last bit."""
    key = EvaluationKey(**{field.name: getattr(row, field.name) for field in fields(EvaluationKey)})
    return Evaluation(
        key=key,
        history=tuple(map(_epoch_of, row.history)),
        **{name: getattr(row, name) for name in _EVALUATION},
        provenance=row.provenance,
    )


def measurement_row(measurement: Measurement) -> MeasurementRow:
    """Return a new row of a measurement."""
    values = {**asdict(measurement.key), **{name: getattr(measurement, name) for name in _MEASUREMENT}}
    values["preprocessing"] = dict(measurement.preprocessing)  # in the key it is a fingerprint
    return MeasurementRow(id=measurement.key.id, metrics=_plain(measurement.values), **values)


def measurement_of(row: MeasurementRow) -> Measurement:
    """Return the measurement of a row, its floats equal to the last bit."""
    named = [field.name for field in fields(MeasurementKey) if field.name != "preprocessing"]
    key = {name: getattr(row, name) for name in named}
    return Measurement(
        key=MeasurementKey(**key, preprocessing=fingerprint(row.preprocessing)),
        preprocessing=row.preprocessing,
        values={name: float(value) for name, value in row.metrics.items()},
        **{name: getattr(row, name) for name in _MEASUREMENT},
    )


MEASURED = (
    *(getattr(EvaluationRow, field.name) for field in fields(EvaluationKey)),
    ValueRow.metric,
    ValueRow.value,
)
"""What `measured_of` takes, in its order."""


def measured_of(rows: Iterable[Sequence[Any]]) -> dict[EvaluationKey, dict[str, float]]:
    """Return by key the last values of each metric; scores, and evaluations with a value that is none, are left out."""
    names = [field.name for field in fields(EvaluationKey)]
    found: dict[EvaluationKey, dict[str, float | None]] = {}
    for *key, metric, value in rows:
        found.setdefault(EvaluationKey(**dict(zip(names, key, strict=True))), {})[metric] = value
    return {
        key: {name: value for name, value in values.items() if value is not None}
        for key, values in found.items()
        if SCORE.name not in values and None not in values.values()
    }


def curve_of(history: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    """Return one metric of the stored epochs."""
    return [float(entry[metric]) for entry in history]


def merged(stored: Evaluation, new: Evaluation) -> Evaluation:
    """Return what to keep of two records of one key (see `Store.record`)."""
    old_curve, new_curve = _curve(stored), _curve(new)
    common = min(len(old_curve), len(new_curve))
    if old_curve[:common] != new_curve[:common]:
        logger.warning("Evaluation %s was measured twice with different values: see docs/decisions.md", new.key.id)
    if len(new_curve) > len(old_curve):
        return new
    if new_curve == old_curve and stored.weights is None:
        return replace(stored, weights=new.weights, weights_sha256=new.weights_sha256)
    return stored


_TRIAL_NAMES = [field.name for field in fields(Trial)]
_TRIAL = [field.name for field in fields(Trial) if field.name not in ("params", "attributes")]
_MEASUREMENT = ("images", "seconds", "device", "version", "measured")
_EVALUATION = ("seconds", "reused_seconds", "images", "device", "weights", "weights_sha256")


def _epoch_to_json(epoch: Epoch) -> dict[str, int | float | str]:
    return _plain(epoch.flat())


def _plain(values: Mapping[str, PlainValue]) -> dict[str, PlainValue | str]:
    # JSON has no inf and nan, and PostgreSQL refuses them; `float` reads their names.
    return {name: v if isinstance(v, str) or math.isfinite(v) else str(v) for name, v in values.items()}


def _epoch_of(entry: Mapping[str, Any]) -> Epoch:
    as_it_is = ("epoch", "device", "of_classes", "alphas")
    return Epoch.from_flat({n: v if n in as_it_is or v is None else float(v) for n, v in entry.items()})


def _curve(evaluation: Evaluation) -> list[dict[str, int | float | str]]:
    """Return the history as JSON, where nan equals nan.

    Seconds and device are left out, since trainings need not share them; so are the coefficients of the connections,
    which older versions did not record.
    """
    return [_epoch_to_json(replace(epoch, seconds=0.0, device="", alphas={})) for epoch in evaluation.history]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
