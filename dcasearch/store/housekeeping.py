"""Studies that get another name or are deleted: all their rows, Optuna's too, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from dcasearch.errors import StorageError, UserError
from dcasearch.store.database import portions
from dcasearch.store.driving import Driving
from dcasearch.store.outage import outlasting
from dcasearch.store.tables import (
    ArchitectureRow,
    CostRow,
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

_ENTRIES = (TrialRow, RoleRow)


@dataclass(frozen=True, kw_only=True)
class Holdings:
    """What the database holds of a study, and what of it leaves with the study."""

    trials: int
    roles: int
    """Baselines, parents and final trainings."""
    evaluations: frozenset[str]
    """Ids of the trainings that no other study names; not each has a record yet."""
    shared: int
    """Trainings that another study names too: they stay."""


class Housekeeping(Driving):
    """The part of `Store` that renames and deletes studies; each is called under the study's lease."""

    _architectures: set[str]

    @outlasting
    def holdings(self, study: str) -> Holdings:
        """Return what the database holds of a study."""
        with self.reading() as session:
            return _holdings(session, study)

    @outlasting
    def rename_study(self, old: str, new: str) -> None:
        """Give a study another name, in our tables and Optuna's; nothing happens where there is none of the old name.

        Raises:
            UserError: there is a study of the new name.
            StorageError: the stored study is damaged.
        """
        from dcasearch.store.optuna_rows import rename_studies

        with self.writing() as session:
            row = session.get(StudyRow, old)
            if row is None:
                return
            if session.get(StudyRow, new) is not None:
                raise UserError(f"{self.url} holds a study '{new}' already; nothing was renamed")
            resolved = _resolved(row)
            if resolved is None:
                raise StorageError(f"{self.url}: study '{old}' is damaged: its stored document is no JSON object")
            fidelities = _fidelities(session, row)
            text = json.dumps({**resolved, "name": new}, ensure_ascii=False)
            session.add(StudyRow(name=new, meaning=row.meaning, resolved=text, data=row.data, created=row.created))
            session.flush()  # before the rows that name it
            # Without `changed` each trial would say that it changed now.
            session.execute(update(TrialRow).where(TrialRow.study == old).values(study=new, changed=TrialRow.changed))
            for table in (RoleRow, RequestRow, RunRow):
                session.execute(update(table).where(table.study == old).values(study=new))
            session.execute(delete(StudyRow).where(StudyRow.name == old))
            rename_studies(session, {f"{old}.{fidelity}": f"{new}.{fidelity}" for fidelity in fidelities})
        self.forget_optuna()

    @outlasting
    def delete_study(self, study: str) -> None:
        """Delete a study and the records that no other study names; nothing happens where there is none.

        Architectures that nothing names any more go too, unless another study runs: its driver may know them.
        """
        from dcasearch.store.optuna_rows import delete_studies

        with self.writing() as session:
            row = session.get(StudyRow, study)
            if row is None:
                return
            evaluations = _holdings(session, study).evaluations
            met = _architectures_of(session, study, evaluations)
            delete_studies(session, [f"{study}.{fidelity}" for fidelity in _fidelities(session, row)])
            for table in (RequestRow, *_ENTRIES, RunRow):
                session.execute(delete(table).where(table.study == study))
            session.delete(row)
            for some in portions(evaluations):
                session.execute(delete(ValueRow).where(ValueRow.evaluation.in_(some)))
                session.execute(delete(EvaluationRow).where(EvaluationRow.id.in_(some)))
            others = select(LeaseRow.study).where(LeaseRow.study != study)
            unnamed = set() if session.scalars(others).first() else met - _named_architectures(session, met)
            for some in portions(unnamed):
                session.execute(delete(CostRow).where(CostRow.architecture_id.in_(some)))
                session.execute(delete(ArchitectureRow).where(ArchitectureRow.id.in_(some)))
        self._architectures -= unnamed
        self.forget_optuna()

    @outlasting
    def recorded(self, ids: Collection[str]) -> set[str]:
        """Return those of these evaluations that have a record, or that a trial or role names."""
        found: set[str] = set()
        with self.reading() as session:
            for some in portions(ids):
                for column in (EvaluationRow.id, TrialRow.evaluation, RoleRow.evaluation):
                    found.update(filter(None, session.scalars(select(column).where(column.in_(some)))))
        return found


def _holdings(session: Session, study: str) -> Holdings:
    mine: set[str] = set()
    counts: list[int] = []
    for table in _ENTRIES:
        named = session.scalars(select(table.evaluation).where(table.study == study)).all()
        counts.append(len(named))
        mine.update(filter(None, named))
    others: set[str] = set()
    for some in portions(mine):
        for table in _ENTRIES:
            query = select(table.evaluation).where(table.study != study, table.evaluation.in_(some))
            others.update(filter(None, session.scalars(query)))
    trials, roles = counts
    return Holdings(trials=trials, roles=roles, evaluations=frozenset(mine - others), shared=len(others))


def _fidelities(session: Session, row: StudyRow) -> set[str]:
    """Return the fidelities that a study may have a study of Optuna's for: those of its YAML, and of its trials."""
    found = set(session.scalars(select(TrialRow.fidelity).where(TrialRow.study == row.name).distinct()))
    listed: Any = (_resolved(row) or {}).get("fidelities")
    return found | {one["name"] for one in listed or () if isinstance(one, dict) and isinstance(one.get("name"), str)}


def _resolved(row: StudyRow) -> dict[str, Any] | None:
    """Return a stored study as plain data; None where it is damaged."""
    try:
        found = json.loads(row.resolved)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _architectures_of(session: Session, study: str, evaluations: Collection[str]) -> set[str]:
    """Return the architectures of a study's trials and roles, and of these evaluations."""
    found: set[str] = set()
    for table in _ENTRIES:
        found.update(session.scalars(select(table.architecture_id).where(table.study == study).distinct()))
    for some in portions(evaluations):
        found.update(session.scalars(select(EvaluationRow.architecture_id).where(EvaluationRow.id.in_(some))))
    return found


def _named_architectures(session: Session, ids: Collection[str]) -> set[str]:
    """Return those of these architectures that a trial, a role, an evaluation or a measurement names."""
    found: set[str] = set()
    for some in portions(ids):
        for table in (TrialRow, RoleRow, EvaluationRow, MeasurementRow):
            query = select(table.architecture_id).where(table.architecture_id.in_(some)).distinct()
            found.update(session.scalars(query))
    return found
