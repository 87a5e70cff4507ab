"""`Store`: everything that is asked of the database, in short transactions, by frozen nouns."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Engine, Select, delete, func, select
from sqlalchemy.orm import Session

from dcasearch.architecture import Architecture
from dcasearch.errors import StorageError
from dcasearch.evaluation import Evaluation, EvaluationKey
from dcasearch.measurement import Measurement
from dcasearch.store import records
from dcasearch.store.activity import last_activity
from dcasearch.store.database import portions
from dcasearch.store.housekeeping import Housekeeping
from dcasearch.store.outage import outlasting
from dcasearch.store.records import StoredStudy
from dcasearch.store.tables import (
    ArchitectureRow,
    Base,
    CostRow,
    DeviceRow,
    EvaluationRow,
    MeasurementRow,
    RoleRow,
    StudyRow,
    TrialRow,
    ValueRow,
)
from dcasearch.trial import Role, State, Trial

logger = logging.getLogger(__name__)
Row = TypeVar("Row", bound=Base)


class Store(Housekeeping):
    """Everything that is asked of the database of one or many studies.

    Each method is one transaction, done to the end or not at all; done twice it gives the same. While the database is
    away, each waits for it. Only the driver of a study (see `lease`) writes it, requests
    aside; anyone may read at any time. Threads may share a store; processes may not, so it has no pickle.

    Raises (every method):
        DatabaseGone: its file was deleted or replaced since it was opened; a StorageError, as is the next.
        StorageError: the database is gone or locked for too long (`outage.OUTAGE_SECONDS`), full or read-only; no
            password in the message.
    """

    def __init__(self, engine: Engine, url: str) -> None:
        super().__init__(engine, url)
        self._architectures: set[str] = set()  # known to be in the database

    # Studies

    @outlasting
    def put_study(
        self, name: str, meaning: Mapping[str, Any], resolved: str, data: Mapping[str, Any] | None = None
    ) -> None:
        """Store a study as it is run now, resolved, as JSON; what was stored under its name is replaced."""
        with self.writing() as session:
            row = session.get(StudyRow, name) or StudyRow(name=name)
            row.meaning, row.resolved, row.data = dict(meaning), resolved, None if data is None else dict(data)
            session.add(row)

    @outlasting
    def get_study(self, name: str) -> StoredStudy | None:
        """Return a study, or None where the database holds none of that name."""
        with self.reading() as session:
            return records.study_of(row) if (row := session.get(StudyRow, name)) else None

    @outlasting
    def studies(self) -> list[StoredStudy]:
        """Return all studies, the oldest first."""
        with self.reading() as session:
            return [records.study_of(row) for row in session.scalars(select(StudyRow).order_by(StudyRow.created))]

    # Architectures and costs

    @outlasting
    def put_architecture(self, architecture: Architecture) -> None:
        """Store an architecture; the first written form of an id stays (others mean the same network)."""
        id = architecture.id
        if id in self._architectures:
            return
        with self.writing() as session:
            if session.get(ArchitectureRow, id) is None:
                written, canonical = architecture.written_out(), architecture.network.canonical
                session.add(ArchitectureRow(id=id, canonical=canonical, written=written))
        self._architectures.add(id)

    @outlasting
    def get_architecture(self, id: str) -> Architecture:
        """Return the architecture of an id; StorageError where the database has none."""
        with self.reading() as session:
            row = self._known(session.get(ArchitectureRow, id), "architecture", id)
            return Architecture.parse(row.written, stored=True)

    @outlasting
    def architectures(self, ids: Iterable[str]) -> dict[str, Architecture]:
        """Return by id those of the asked architectures that are stored."""
        found: dict[str, Architecture] = {}
        with self.reading() as session:
            for some in portions(ids):
                query = select(ArchitectureRow.id, ArchitectureRow.written).where(ArchitectureRow.id.in_(some))
                found |= {id: Architecture.parse(written, stored=True) for id, written in session.execute(query)}
        return found

    @outlasting
    def architecture_ids(self, beginning: str = "") -> list[str]:
        """Return the ids of all architectures that begin so, sorted."""
        with self.reading() as session:
            chosen = select(ArchitectureRow.id).where(ArchitectureRow.id.startswith(beginning, autoescape=True))
            return sorted(session.scalars(chosen))

    @outlasting
    def put_costs(
        self, architecture_id: str, resolution: int, classes: int, costs: Mapping[str, float], device: str = ""
    ) -> None:
        """Store what a stored architecture costs at an input size and number of classes (on a device)."""
        with self.writing() as session:
            for row in records.cost_rows(architecture_id, resolution, classes, costs, device):
                session.merge(row)

    @outlasting
    def get_costs(self, architecture_id: str, resolution: int, classes: int, device: str = "") -> dict[str, float]:
        """Return the stored costs by metric: those that hold for every device, and those of this one."""
        where = {"architecture_id": architecture_id, "resolution": resolution, "classes": classes}
        query = select(CostRow).filter_by(**where).where(CostRow.device.in_(["", device]))
        with self.reading() as session:
            return records.costs_of(session.scalars(query))

    @outlasting
    def costs(self, ids: Iterable[str], resolution: int, classes: int) -> dict[str, dict[str, float]]:
        """Return by id the stored costs of architectures that hold for every device."""
        rows: dict[str, list[CostRow]] = {}
        with self.reading() as session:
            for some in portions(ids):
                query = select(CostRow).filter_by(resolution=resolution, classes=classes, device="")
                for row in session.scalars(query.where(CostRow.architecture_id.in_(some))):
                    rows.setdefault(row.architecture_id, []).append(row)
        return {id: records.costs_of(mine) for id, mine in rows.items()}

    # Evaluations

    @outlasting
    def record(self, evaluation: Evaluation) -> Evaluation:
        """Store an evaluation of a stored architecture and return what is now stored under its key.

        Idempotent. The same curve again changes nothing (but for weights that were not stored before); a
        longer curve replaces a shorter one, since a pruned training may go on later; of two different
        curves of one length the first stays, with a warning.
        """
        with self.writing() as session:
            return _record(session, evaluation)

    @outlasting
    def find(self, key: EvaluationKey) -> Evaluation | None:
        """Return the record of a measurement, or None where it was not made yet."""
        with self.reading() as session:
            return records.evaluation_of(row) if (row := session.get(EvaluationRow, key.id)) else None

    @outlasting
    def evaluation(self, id: str) -> Evaluation:
        """Return the evaluation of an id; StorageError where the database has none."""
        with self.reading() as session:
            return records.evaluation_of(self._known(session.get(EvaluationRow, id), "evaluation", id))

    @outlasting
    def evaluations(self, ids: Iterable[str]) -> dict[str, Evaluation]:
        """Return by id those of the asked evaluations that are stored."""
        rows = self._by_id(ids, EvaluationRow)
        return {row.id: records.evaluation_of(row) for (row,) in rows}

    @outlasting
    def curves(self, ids: Iterable[str], metric: str) -> dict[str, list[float]]:
        """Return by id one measured metric, epoch by epoch, of those of the asked evaluations that are stored."""
        rows = self._by_id(ids, EvaluationRow.id, EvaluationRow.history)
        return {id: records.curve_of(history, metric) for id, history in rows}

    @outlasting
    def measured(self, ids: Iterable[str]) -> dict[EvaluationKey, dict[str, float]]:
        """Return the last values, by metric, of those of the asked evaluations that are stored and finite."""
        return records.measured_of(self._by_id(ids, *records.MEASURED))

    @outlasting
    def measured_like(self, key: EvaluationKey, epochs: int) -> dict[EvaluationKey, dict[str, float]]:
        """Like `measured`, for all records with `epochs` epochs that share the key's fidelity, data and protocol."""
        row = EvaluationRow
        same = [row.fidelity == key.fidelity, row.data == key.data, row.protocol == key.protocol, row.epochs == epochs]
        with self.reading() as session:
            query = select(*records.MEASURED).join(ValueRow, ValueRow.evaluation == row.id).where(*same)
            return records.measured_of(session.execute(query))

    @outlasting
    def seconds(self, ids: Iterable[str]) -> float:
        """Return how long the stored ones of these evaluations took together, each second counted once."""
        own = EvaluationRow.seconds - EvaluationRow.reused_seconds
        return float(sum(seconds for (seconds,) in self._by_id(ids, own)))

    # Measurements without a training

    @outlasting
    def record_measurement(self, measurement: Measurement) -> Measurement:
        """Store a measurement of a stored architecture and return what is now stored under its key.

        Idempotent: of two measurements of one key the first stays, unless the second has more metrics and equal values
        of all that the first has. Then the second takes its place.
        """
        with self.writing() as session:
            row = session.get(MeasurementRow, measurement.key.id)
            if row is not None:
                stored = records.measurement_of(row)
                if not measurement.extends(stored):
                    return stored
                session.delete(row)
                session.flush()
            session.add(records.measurement_row(measurement))
            return measurement

    @outlasting
    def measurements(self, architecture_id: str | None = None) -> list[Measurement]:
        """Return all measurements, or those of one architecture, the oldest first."""
        query = select(MeasurementRow).order_by(MeasurementRow.measured, MeasurementRow.id)
        if architecture_id is not None:
            query = query.where(MeasurementRow.architecture_id == architecture_id)
        with self.reading() as session:
            return [records.measurement_of(row) for row in session.scalars(query)]

    # The ledger

    @outlasting
    def put_trial(self, trial: Trial) -> None:
        """Store a trial of a stored study and architecture; its row, by (study, fidelity, number), is replaced."""
        self.flush_optuna()
        with self.writing() as session:
            session.merge(records.trial_row(trial))

    @outlasting
    def record_and_put(self, evaluation: Evaluation, trial: Trial) -> Evaluation:
        """Do what `record` and `put_trial` do, in one transaction: a trial never ends without its record."""
        self.flush_optuna()
        with self.writing() as session:
            stored = _record(session, evaluation)
            session.merge(records.trial_row(trial))
            return stored

    @outlasting
    def trial(self, study: str, fidelity: str, number: int) -> Trial | None:
        """Return one row of the ledger, or None."""
        with self.reading() as session:
            row = session.execute(_trials(study=study, fidelity=fidelity, number=number)).one_or_none()
            return None if row is None else records.trial_of(row)

    @outlasting
    def trials(self, study: str, fidelity: str | None = None) -> list[Trial]:
        """Return a study's ledger, or one fidelity's, by fidelity and number."""
        where = {"study": study} if fidelity is None else {"study": study, "fidelity": fidelity}
        with self.reading() as session:
            return [records.trial_of(row) for row in session.execute(_trials(**where))]

    @outlasting
    def times(self, study: str, fidelity: str, number: int) -> tuple[datetime | None, datetime | None]:
        """Return when a trial was drawn and when it ended; None where that is not known."""
        from dcasearch.store.optuna_rows import times_of

        with self.reading() as session:
            return times_of(session, f"{study}.{fidelity}", number)

    @outlasting
    def counts(self, study: str) -> dict[str, dict[State, int]]:
        """Return per fidelity how many trials are in each state; states without trials are left out."""
        columns = (TrialRow.fidelity, TrialRow.state)
        query = select(*columns, func.count()).where(TrialRow.study == study).group_by(*columns)
        counts: dict[str, dict[State, int]] = {}
        with self.reading() as session:
            for fidelity, state, count in session.execute(query):
                counts.setdefault(fidelity, {})[State(state)] = count
        return counts

    @outlasting
    def last_activity(self, study: str) -> datetime:
        """Return when something was last done for a stored study."""
        with self.reading() as session:
            return last_activity(session, study)

    # Devices

    @outlasting
    def put_device(self, name: str, report: str) -> None:
        """Store the report of a device, as JSON; an earlier one of the same name is replaced."""
        with self.writing() as session:
            row = session.get(DeviceRow, name) or DeviceRow(name=name)
            row.report = report
            session.add(row)

    @outlasting
    def devices(self) -> dict[str, str]:
        """Return the reports of all devices, as JSON, by name."""
        with self.reading() as session:
            return {row.name: row.report for row in session.scalars(select(DeviceRow).order_by(DeviceRow.name))}

    # Baselines and finals

    @outlasting
    def put_role(self, role: Role) -> None:
        """Store a training that is no trial; its row, by all but its outcome, is replaced."""
        values = records.role_values(role)
        outcome = {name: values.pop(name) for name in ("evaluation", "failure", "message")}
        with self.writing() as session:
            row = session.scalars(select(RoleRow).filter_by(**values)).one_or_none() or RoleRow(**values)
            for name, value in outcome.items():
                setattr(row, name, value)
            session.add(row)

    @outlasting
    def roles(self, study: str) -> list[Role]:
        """Return a study's baselines and finals, in the order they were first stored."""
        query = select(RoleRow).where(RoleRow.study == study).order_by(RoleRow.position)
        with self.reading() as session:
            return [records.role_of(row) for row in session.scalars(query)]

    # Who counts on a record

    @outlasting
    def users(self, evaluations: Iterable[str]) -> list[Trial | Role]:
        """Return the trials and roles of all studies that have one of these evaluations."""
        found: list[Trial | Role] = []
        with self.reading() as session:
            for asked in portions(evaluations):
                trials = select(*records.TRIAL_COLUMNS).where(TrialRow.evaluation.in_(asked))
                found += [records.trial_of(row) for row in session.execute(trials)]
                roles = select(RoleRow).where(RoleRow.evaluation.in_(asked))
                found += [records.role_of(row) for row in session.scalars(roles)]
        return found

    def _by_id(self, ids: Iterable[str], *columns: Any) -> Iterator[Sequence[Any]]:
        with self.reading() as session:
            for some in portions(ids):
                query = select(*columns).where(EvaluationRow.id.in_(some))
                if any(column is ValueRow.metric for column in columns):  # `in` would make SQL of it
                    query = query.join(ValueRow, ValueRow.evaluation == EvaluationRow.id)
                yield from session.execute(query)

    def _known(self, row: Row | None, what: str, id: str) -> Row:
        if row is None:
            raise StorageError(f"{self.url} has no {what} {id}.")
        return row


def _trials(**where: str | int) -> Select[Any]:
    query = select(*records.TRIAL_COLUMNS).filter_by(**where)
    return query.order_by(TrialRow.fidelity, TrialRow.number)


def _record(session: Session, evaluation: Evaluation) -> Evaluation:
    row = session.get(EvaluationRow, evaluation.key.id)
    stored = evaluation if row is None else records.merged(records.evaluation_of(row), evaluation)
    session.merge(records.evaluation_row(stored))
    session.flush()  # before the rows that name it
    session.execute(delete(ValueRow).where(ValueRow.evaluation == stored.key.id))
    session.add_all(records.value_rows(stored))
    return stored
