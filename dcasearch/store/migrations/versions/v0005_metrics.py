"""For any metric: the values of evaluations and the costs of architectures become rows, one per metric."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_MEASURED = ("top1", "top5", "loss")
_COUNTED = ("params", "macs")


def upgrade() -> None:
    """Move what the columns hold into rows; histories stay as they are. Add what the data says of itself."""
    with op.batch_alter_table("dca_studies") as table:
        table.add_column(sa.Column("data", sa.JSON(), nullable=True))
    _move_values()
    _move_costs()


def _move_values() -> None:
    # Read first: SQLite makes the table anew, which nothing may refer to by then.
    names = (*_MEASURED, "score", *(f"best_{name}" for name in _MEASURED))
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in ("id", *names)]
    found = op.get_bind().execute(sa.select(*columns).select_from(sa.table("dca_evaluations"))).mappings().all()
    with op.batch_alter_table("dca_evaluations") as table:
        for name in names:
            table.drop_column(name)
    values = op.create_table(
        "dca_values",
        sa.Column("evaluation", sa.String(length=16), nullable=False),
        sa.Column("metric", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("best", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["evaluation"], ["dca_evaluations.id"], name="fk_dca_values_evaluation"),
        sa.PrimaryKeyConstraint("evaluation", "metric", name="pk_dca_values"),
    )
    op.bulk_insert(values, [row for stored in found for row in _rows(stored)])


def _rows(stored: sa.RowMapping) -> list[dict[str, Any]]:
    """Return a row per metric; a score has no other metric."""
    if stored["score"] is not None:
        return [{"evaluation": stored["id"], "metric": "score", "value": stored["score"], "best": stored["score"]}]
    return [
        {"evaluation": stored["id"], "metric": name, "value": stored[name], "best": stored[f"best_{name}"]}
        for name in _MEASURED
    ]


def _move_costs() -> None:
    where = ("architecture_id", "resolution", "classes")
    old = sa.table("dca_costs", *(sa.column(name) for name in (*where, *_COUNTED)))
    found = op.get_bind().execute(sa.select(old)).mappings().all()
    op.drop_table("dca_costs")
    costs = op.create_table(
        "dca_costs",
        sa.Column("architecture_id", sa.String(length=16), nullable=False),
        sa.Column("resolution", sa.Integer(), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("metric", sa.String(length=255), nullable=False),
        sa.Column("device", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["architecture_id"], ["dca_architectures.id"], name="fk_dca_costs_architecture_id"),
        sa.PrimaryKeyConstraint(*where, "metric", "device", name="pk_dca_costs"),
    )
    rows = [
        {**{column: row[column] for column in where}, "metric": name, "device": "", "value": float(row[name])}
        for row in found
        for name in _COUNTED
    ]
    op.bulk_insert(costs, rows)
