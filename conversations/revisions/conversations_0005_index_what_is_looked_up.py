"""Index messages by time and role, receipts by subject, and kept answers by conversation.

A context has all that instructs a model, however long the conversation is, so that has an index.
Messages stand in the table nearly in the order of time, so an index of ranges of pages serves the
usage report: some kilobytes, and next to nothing to do at an append.

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
    "messages_instructions_idx": (
        "messages (conversation_id, seq) WHERE role IN ('system', 'developer')"
    ),
    "messages_created_at_idx": "messages USING brin (created_at)",
    "erasures_subject_idx": "erasures (subject, id)",
    "erasures_open_idx": "erasures (created_at) WHERE completed_at IS NULL",
    "answered_requests_conversation_id_idx": (
        "answered_requests (conversation_id) WHERE conversation_id IS NOT NULL"
    ),
}


def upgrade() -> None:
    for name, definition in _INDEXES.items():
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON tenant_schema.{definition}")


def downgrade() -> None:
    for name in reversed(_INDEXES):
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS tenant_schema.{name}")
