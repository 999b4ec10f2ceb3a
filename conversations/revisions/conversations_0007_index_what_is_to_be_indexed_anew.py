"""Index the conversations whose messages are to be indexed anew: mostly there are none.

Revision: conversations_0007
Revises: conversations_0006
"""

from alembic import op

revision = "conversations_0007"
down_revision = "conversations_0006"
branch_labels = None
depends_on = None
transactional = False


def upgrade() -> None:
    op.execute(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS conversations_reindex_seq_idx "
        "ON tenant_schema.conversations (reindex_seq) WHERE reindex_seq IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS tenant_schema.conversations_reindex_seq_idx")
