"""Index what instructs models.

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
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS messages_instructions_idx "
        "ON tenant_schema.messages (conversation_id, seq) WHERE role IN ('system', 'developer')"
    )


def downgrade() -> None:
    op.execute("DROP INDEX CONCURRENTLY IF EXISTS tenant_schema.messages_instructions_idx")
