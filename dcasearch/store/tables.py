"""Our tables, beside Optuna's in the same database: what Optuna cannot hold.

Every name starts with `dca_`, because Optuna has tables `studies` and `trials` of its own. The history of
these tables is in `migrations`; a change here needs a migration there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, DateTime, Double, ForeignKey, MetaData, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

PREFIX = "dca_"
Name = String(255)
Id = String(16)


def is_ours(table: str | None) -> bool:
    """Tell our tables from Optuna's by their name."""
    return table is not None and table.startswith(PREFIX)


class UtcTime(TypeDecorator[datetime]):
    """A moment, timezone-aware in Python; SQLite stores it as UTC without saying so."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Store UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Read UTC."""
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)


def now() -> datetime:
    """Return this moment."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """Base of our tables."""

    metadata = MetaData(
        naming_convention={  # a later migration alters constraints by name, in SQLite too
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map: ClassVar = {datetime: UtcTime, float: Double}


class StudyRow(Base):
    """A study as it was last run."""

    __tablename__ = "dca_studies"
    name: Mapped[str] = mapped_column(Name, primary_key=True)
    meaning: Mapped[Any] = mapped_column(JSON)
    resolved: Mapped[str] = mapped_column("yaml", Text)
    """The study with everything resolved, as JSON."""
    data: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    """What its data set says of its images and classes; None in studies of older versions."""
    created: Mapped[datetime] = mapped_column(default=now)


class ArchitectureRow(Base):
    """An architecture that some study met."""

    __tablename__ = "dca_architectures"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    canonical: Mapped[str] = mapped_column(Text)
    written: Mapped[Any] = mapped_column(JSON)
    created: Mapped[datetime] = mapped_column(default=now)


class CostRow(Base):
    """One cost of an architecture at one input size and number of classes."""

    __tablename__ = "dca_costs"
    architecture_id: Mapped[str] = mapped_column(ForeignKey("dca_architectures.id"), primary_key=True)
    resolution: Mapped[int] = mapped_column(primary_key=True)
    classes: Mapped[int] = mapped_column(primary_key=True)
    metric: Mapped[str] = mapped_column(Name, primary_key=True)
    device: Mapped[str] = mapped_column(Name, primary_key=True)
    """Empty for a cost that holds for every device."""
    value: Mapped[float]


class EvaluationRow(Base):
    """One training, or one score; its values stand in `dca_values` too, for SQL."""

    __tablename__ = "dca_evaluations"
    __table_args__ = (UniqueConstraint("architecture_id", "fidelity", "data", "protocol", "seed"),)
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    architecture_id: Mapped[str] = mapped_column(ForeignKey("dca_architectures.id"))
    fidelity: Mapped[str] = mapped_column(Id)
    data: Mapped[str] = mapped_column(Name)
    protocol: Mapped[str] = mapped_column(Id)
    seed: Mapped[int] = mapped_column(BigInteger)
    history: Mapped[Any] = mapped_column(JSON)
    epochs: Mapped[int]
    best_epoch: Mapped[int]
    seconds: Mapped[float]
    reused_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    images: Mapped[int] = mapped_column(BigInteger)
    device: Mapped[str] = mapped_column(Name)
    provenance: Mapped[Any] = mapped_column(JSON)
    weights: Mapped[str | None] = mapped_column(Text)
    weights_sha256: Mapped[str | None] = mapped_column(String(64))
    created: Mapped[datetime] = mapped_column(default=now)


class ValueRow(Base):
    """One metric of an evaluation: its last epoch's value, and the best epoch's."""

    __tablename__ = "dca_values"
    evaluation: Mapped[str] = mapped_column(ForeignKey("dca_evaluations.id"), primary_key=True)
    metric: Mapped[str] = mapped_column(Name, primary_key=True)
    value: Mapped[float | None]
    """None where it is no finite number."""
    best: Mapped[float | None]
    """Of the epoch with the best headline metric, see `best_epoch`."""


class TrialRow(Base):
    """One row of the ledger. `evaluation` may name a record that is still to come: the trial runs."""

    __tablename__ = "dca_trials"
    study: Mapped[str] = mapped_column(ForeignKey("dca_studies.name"), primary_key=True)
    fidelity: Mapped[str] = mapped_column(Name, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(Id)
    origin: Mapped[str] = mapped_column(Id)
    params: Mapped[Any] = mapped_column(JSON)
    architecture_id: Mapped[str] = mapped_column(ForeignKey("dca_architectures.id"), index=True)
    seed: Mapped[int] = mapped_column(BigInteger)
    evaluation: Mapped[str | None] = mapped_column(Id)
    values: Mapped[Any] = mapped_column(JSON(none_as_null=True), nullable=True)
    epochs: Mapped[int]
    constraint: Mapped[str | None] = mapped_column(Text)
    duplicate_of: Mapped[int | None]
    failure: Mapped[str | None] = mapped_column(Id)
    message: Mapped[str] = mapped_column(Text)
    retries: Mapped[int]
    attributes: Mapped[Any] = mapped_column(JSON)
    changed: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class RoleRow(Base):
    """An evaluation that is no trial: a baseline, or the final training of a winner."""

    __tablename__ = "dca_roles"
    __table_args__ = (UniqueConstraint("study", "fidelity", "role", "name", "architecture_id", "seed"),)
    position: Mapped[int] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("dca_studies.name"))
    fidelity: Mapped[str] = mapped_column(Name)
    role: Mapped[str] = mapped_column(Id)
    name: Mapped[str] = mapped_column(Name)
    seed: Mapped[int] = mapped_column(BigInteger)
    architecture_id: Mapped[str] = mapped_column(ForeignKey("dca_architectures.id"))
    evaluation: Mapped[str | None] = mapped_column(Id)
    failure: Mapped[str | None] = mapped_column(Id)
    message: Mapped[str] = mapped_column(Text)


class LeaseRow(Base):
    """The one driver that may write a study at this moment; its times are those of the database's clock."""

    __tablename__ = "dca_leases"
    study: Mapped[str] = mapped_column(Name, primary_key=True)
    token: Mapped[str] = mapped_column(String(32))
    host: Mapped[str] = mapped_column(Name)
    pid: Mapped[int]
    process_started: Mapped[float]
    since: Mapped[datetime]
    heartbeat: Mapped[datetime]


class RunRow(Base):
    """A run of a study by one driver; of one that goes on, or was killed, nobody has written the end."""

    __tablename__ = "dca_runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(String(32))
    """Of the driver's lease."""
    study: Mapped[str] = mapped_column(Name, index=True)
    host: Mapped[str] = mapped_column(Name)
    pid: Mapped[int]
    since: Mapped[datetime]
    ended: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(Text)
    """What ended it, in words."""


class ClaimRow(Base):
    """A training that a driver runs at this moment: no other one starts it while the holder's lease is alive."""

    __tablename__ = "dca_claims"
    evaluation: Mapped[str] = mapped_column(Id, primary_key=True)
    token: Mapped[str] = mapped_column(String(32))


class RequestRow(Base):
    """What a user asked, from elsewhere, of the driver of a study; the driver deletes it when it is done."""

    __tablename__ = "dca_requests"
    id: Mapped[int] = mapped_column(primary_key=True)
    study: Mapped[str] = mapped_column(ForeignKey("dca_studies.name"), index=True)
    kind: Mapped[str] = mapped_column(Id)
    fidelity: Mapped[str | None] = mapped_column(Name)
    number: Mapped[int | None]
    made: Mapped[datetime] = mapped_column(default=now)


class DeviceRow(Base):
    """What a GPU check found on one model of device, as JSON text; studies are forecast from it."""

    __tablename__ = "dca_devices"
    name: Mapped[str] = mapped_column(Name, primary_key=True)
    report: Mapped[str] = mapped_column(Text)
    changed: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class MeasurementRow(Base):
    """An exported network, measured on images without a training; equal weights on equal images have one row."""

    __tablename__ = "dca_measurements"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    architecture_id: Mapped[str] = mapped_column(ForeignKey("dca_architectures.id"), index=True)
    weights_sha256: Mapped[str] = mapped_column(String(64))
    task: Mapped[str] = mapped_column(Name)
    data: Mapped[str] = mapped_column(Id)
    split: Mapped[str] = mapped_column(Id)
    classes: Mapped[int]
    resolution: Mapped[int]
    preprocessing: Mapped[Any] = mapped_column(JSON)
    metrics: Mapped[Any] = mapped_column(JSON)
    images: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]
    device: Mapped[str] = mapped_column(Name)
    version: Mapped[str] = mapped_column(Name)
    measured: Mapped[datetime]
