"""For zero-cost fidelities: an evaluation may be a score, with nothing trained and nothing measured."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the score; what only a training measures may be missing."""
    with op.batch_alter_table("dca_evaluations") as table:
        table.add_column(sa.Column("score", sa.Double(), nullable=True))
        for name in ("top1", "top5", "best_top1", "best_top5"):
            table.alter_column(name, existing_type=sa.Double(), existing_nullable=False, nullable=True)
