"""Index messages by time, for the usage report.

Messages stand in the table nearly in the order of time, so an index of ranges of pages serves:
some kilobytes, and next to nothing to do at an append.

Revision: conversations_0004
Revises: conversations_0003
"""

from alembic import op

revision = "conversations_0004"
down_revision = "conversations_0003"
branch_labels = None
depends_on = None
transactional = False


def upgrade() -> None:
    op.execute(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_created_at_idx "
        "ON tenant_schema.messages USING brin (created_at)"
    )


def downgrade() -> None:
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS tenant_schema.messages_created_at_idx")
