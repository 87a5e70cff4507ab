"""For a cluster: what a user asks of a driver from elsewhere, a lease that knows its own holder, tpe's window."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the requests, and the leases anew: an older driver that still runs is told that it lost its own."""
    op.create_table(
        "dca_requests",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("study", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("fidelity", sa.String(length=255), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("made", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["study"], ["dca_studies.name"], name="fk_dca_requests_study"),
        sa.PrimaryKeyConstraint("id", name="pk_dca_requests"),
    )
    op.create_index("ix_dca_requests_study", "dca_requests", ["study"])
    op.drop_table("dca_leases")
    op.create_table(
        "dca_leases",
        sa.Column("study", sa.String(length=255), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.Double(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heartbeat", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("study", name="pk_dca_leases"),
    )
    _give_samplers_a_window()


def _give_samplers_a_window() -> None:
    """Let the studies of the first version mean what they mean now: their tpe saw all trials, these are fewer."""
    studies = sa.table("dca_studies", sa.column("name", sa.String), sa.column("meaning", sa.JSON))
    for name, meaning in op.get_bind().execute(sa.select(studies.c.name, studies.c.meaning)).all():
        if "sampler" in meaning:
            widened = {**meaning, "sampler": {"window": 1000, **meaning["sampler"]}}
            op.execute(sa.update(studies).where(studies.c.name == name).values(meaning=widened))
