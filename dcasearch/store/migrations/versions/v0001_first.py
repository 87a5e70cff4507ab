"""The first version: studies, their ledger, architectures, costs, evaluations, roles, leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "dca_architectures",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("canonical", sa.Text(), nullable=False),
        sa.Column("written", sa.JSON(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dca_architectures"),
    )
    op.create_table(
        "dca_leases",
        sa.Column("study", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.Double(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study", name="pk_dca_leases"),
    )
    op.create_table(
        "dca_studies",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("meaning", sa.JSON(), nullable=False),
        sa.Column("yaml", sa.Text(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_dca_studies"),
    )
    op.create_table(
        "dca_costs",
        sa.Column("architecture_id", sa.String(length=16), nullable=False),
        sa.Column("resolution", sa.Integer(), nullable=False),
        sa.Column("classes", sa.Integer(), nullable=False),
        sa.Column("params", sa.BigInteger(), nullable=False),
        sa.Column("macs", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["architecture_id"], ["dca_architectures.id"], name="fk_dca_costs_architecture_id"),
        sa.PrimaryKeyConstraint("architecture_id", "resolution", "classes", name="pk_dca_costs"),
    )
    op.create_table(
        "dca_evaluations",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("architecture_id", sa.String(length=16), nullable=False),
        sa.Column("fidelity", sa.String(length=16), nullable=False),
        sa.Column("data", sa.String(length=255), nullable=False),
        sa.Column("protocol", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("history", sa.JSON(), nullable=False),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("top1", sa.Double(), nullable=False),
        sa.Column("top5", sa.Double(), nullable=False),
        sa.Column("loss", sa.Double(), nullable=True),
        sa.Column("best_epoch", sa.Integer(), nullable=False),
        sa.Column("best_top1", sa.Double(), nullable=False),
        sa.Column("best_top5", sa.Double(), nullable=False),
        sa.Column("best_loss", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("images", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.String(length=255), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.Column("weights", sa.Text(), nullable=True),
        sa.Column("weights_sha256", sa.String(length=64), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["architecture_id"], ["dca_architectures.id"], name="fk_dca_evaluations_architecture_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_dca_evaluations"),
        sa.UniqueConstraint("architecture_id", "fidelity", "data", "protocol", "seed", name="uq_dca_evaluations"),
    )
    op.create_table(
        "dca_roles",
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("study", sa.String(length=255), nullable=False),
        sa.Column("fidelity", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("architecture_id", sa.String(length=16), nullable=False),
        sa.Column("evaluation", sa.String(length=16), nullable=True),
        sa.Column("failure", sa.String(length=16), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["architecture_id"], ["dca_architectures.id"], name="fk_dca_roles_architecture_id"),
        sa.ForeignKeyConstraint(["study"], ["dca_studies.name"], name="fk_dca_roles_study"),
        sa.PrimaryKeyConstraint("position", name="pk_dca_roles"),
        sa.UniqueConstraint("study", "fidelity", "role", "name", "architecture_id", "seed", name="uq_dca_roles"),
    )
    op.create_table(
        "dca_trials",
        sa.Column("study", sa.String(length=255), nullable=False),
        sa.Column("fidelity", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("architecture_id", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("evaluation", sa.String(length=16), nullable=True),
        sa.Column("values", sa.JSON(), nullable=True),
        sa.Column("epochs", sa.Integer(), nullable=False),
        sa.Column("constraint", sa.Text(), nullable=True),
        sa.Column("duplicate_of", sa.Integer(), nullable=True),
        sa.Column("failure", sa.String(length=16), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("retries", sa.Integer(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["architecture_id"], ["dca_architectures.id"], name="fk_dca_trials_architecture_id"),
        sa.ForeignKeyConstraint(["study"], ["dca_studies.name"], name="fk_dca_trials_study"),
        sa.PrimaryKeyConstraint("study", "fidelity", "number", name="pk_dca_trials"),
    )
    op.create_index("ix_dca_trials_architecture_id", "dca_trials", ["architecture_id"])
