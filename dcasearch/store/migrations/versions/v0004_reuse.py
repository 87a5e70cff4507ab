"""For evaluations that are reused: who trains one at this moment, and what a shorter training had spent on one."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the claims; what is stored was spent by its own evaluation."""
    op.create_table(
        "dca_claims",
        sa.Column("evaluation", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("evaluation", name="pk_dca_claims"),
    )
    with op.batch_alter_table("dca_evaluations") as table:
        table.add_column(sa.Column("reused_seconds", sa.Double(), nullable=False, server_default="0"))
