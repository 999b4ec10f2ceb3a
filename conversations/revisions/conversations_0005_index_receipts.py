"""Index receipts by their subject, and those of what is not done yet.

Revision: conversations_0005
Revises: conversations_0004
"""

from alembic import op

revision = "conversations_0005"
down_revision = "conversations_0004"
branch_labels = None
depends_on = None
transactional = False

_INDEXES = {
    "erasures_subject_idx": "erasures (subject, id)",
    "erasures_open_idx": "erasures (created_at) WHERE completed_at IS NULL",
}


def upgrade() -> None:
    for name, definition in _INDEXES.items():
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON tenant_schema.{definition}")


def downgrade() -> None:
    for name in reversed(_INDEXES):
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS tenant_schema.{name}")
