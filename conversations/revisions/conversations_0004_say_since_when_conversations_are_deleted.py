"""Say since when conversations are deleted.

Until now a deleted conversation had a status of its own, which it lost its former one to.

Revision: conversations_0004
Revises: conversations_0003
"""

from alembic import op

revision = "conversations_0004"
down_revision = "conversations_0003"
branch_labels = None
depends_on = None
acknowledged = {
    "rows-in-sql": "It changes deleted conversations alone, which nobody reads; and what comes "
    "before it is done by then.",
}


def upgrade() -> None:
    op.execute(
        "UPDATE conversations SET status = 'active', deleted_at = updated_at "
        "WHERE status = 'deleted'"
    )


def downgrade() -> None:
    op.execute(
        "UPDATE conversations SET status = 'deleted', deleted_at = NULL "
        "WHERE deleted_at IS NOT NULL"
    )
