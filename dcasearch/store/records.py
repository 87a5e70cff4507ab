"""Rows to frozen nouns and back; no SQLAlchemy object leaves the room."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

from dcasearch.evaluation import Epoch, Evaluation, EvaluationKey
from dcasearch.store.tables import EvaluationRow, RequestRow, RoleRow, StudyRow, TrialRow
from dcasearch.trial import Role, State, Trial

logger = logging.getLogger(__name__)
RequestKind: TypeAlias = Literal["stop", "cancel"]


@dataclass(frozen=True, kw_only=True)
class StoredStudy:
    """A study as it was last run."""

    name: str
    meaning: Mapping[str, Any]
    """What gives its values their meaning and may not change."""
    yaml: str
    """The text of its YAML file."""
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
    return StoredStudy(name=row.name, meaning=row.meaning, yaml=row.yaml, created=row.created)


def trial_row(trial: Trial) -> TrialRow:
    """Return a new row of the ledger."""
    values = {name: getattr(trial, name) for name in _TRIAL}
    return TrialRow(**values, params=dict(trial.params), attributes=dict(trial.attributes))


TRIAL_COLUMNS = tuple(getattr(TrialRow, field.name) for field in fields(Trial))
"""What `trial_of` takes, in its order."""


def trial_of(columns: Sequence[Any]) -> Trial:
    """Return the trial of a row's columns; ten thousand of them are read at once, too many for objects of rows."""
    values = dict(zip(_TRIAL_NAMES, columns, strict=True))
    values["state"] = State(values["state"])
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
        top1=_finite(last.top1),
        top5=_finite(last.top5),
        loss=_finite(last.loss),
        score=last.score,
        best_epoch=best.epoch,
        best_top1=_finite(best.top1),
        best_top5=_finite(best.top5),
        best_loss=_finite(best.loss),
        **{name: getattr(evaluation, name) for name in _EVALUATION},
        provenance=dict(evaluation.provenance),
    )


def evaluation_of(row: EvaluationRow) -> Evaluation:
    """Return the evaluation of a row, its floats equal to the last bit."""
    key = EvaluationKey(**{field.name: getattr(row, field.name) for field in fields(EvaluationKey)})
    return Evaluation(
        key=key,
        history=tuple(_epoch_of(entry) for entry in row.history),
        **{name: getattr(row, name) for name in _EVALUATION},
        provenance=row.provenance,
    )


MEASURED = (
    *(getattr(EvaluationRow, field.name) for field in fields(EvaluationKey)),
    EvaluationRow.top1,
    EvaluationRow.loss,
)
"""What `measured_of` takes, in its order."""


def measured_of(columns: Sequence[Any]) -> tuple[EvaluationKey, tuple[float, float]] | None:
    """Return a key with its last top-1 and loss; None of a score and of what diverged."""
    *key, top1, loss = columns
    names = (field.name for field in fields(EvaluationKey))
    return None if top1 is None or loss is None else (EvaluationKey(**dict(zip(names, key, strict=True))), (top1, loss))


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
_EVALUATION = ("seconds", "reused_seconds", "images", "device", "weights", "weights_sha256")


def _epoch_to_json(epoch: Epoch) -> dict[str, int | float | str]:
    # JSON has no inf and nan, and PostgreSQL refuses them; `float` reads their names.
    values = ((name, value) for name, value in asdict(epoch).items() if value is not None)
    return {name: v if isinstance(v, str) or math.isfinite(v) else str(v) for name, v in values}


def _epoch_of(entry: Mapping[str, Any]) -> Epoch:
    values = {name: float(value) for name, value in entry.items() if name not in ("epoch", "device")}
    # Histories of earlier versions name no device.
    return Epoch(epoch=entry["epoch"], device=entry.get("device", ""), **values)


def _curve(evaluation: Evaluation) -> list[dict[str, int | float | str]]:
    """Return the history but for seconds and device, which trainings need not share; as JSON, where nan equals nan."""
    return [_epoch_to_json(replace(epoch, seconds=0.0, device="")) for epoch in evaluation.history]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
