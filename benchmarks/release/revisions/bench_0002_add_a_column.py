"""Add a column to the messages.

Revision: bench_0002
Revises: bench_0001
"""

import sqlalchemy as sa

from alembic import op

revision = "bench_0002"
down_revision = "bench_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.add_column("messages", sa.Column("mood", sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.drop_column("messages", "mood")
