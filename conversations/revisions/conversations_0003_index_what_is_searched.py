"""Index what is searched, what is due, and what another wire names.

Revision: conversations_0003
Revises: conversations_0002
"""

from alembic import op

revision = "conversations_0003"
down_revision = "conversations_0002"
branch_labels = None
depends_on = None
transactional = False

_OPEN = "status IN ('requested', 'awaiting_approval', 'running')"
_INDEXES = {
    "conversations_title_idx": (
        "INDEX",
        "conversations USING gin (to_tsvector('simple'::regconfig, title))",
    ),
    "conversations_parent_id_idx": ("INDEX", "conversations (parent_id)"),
    "conversations_retain_until_idx": (
        "INDEX",
        "conversations (retain_until) WHERE retain_until IS NOT NULL",
    ),
    "conversations_deleted_at_idx": (
        "INDEX",
        "conversations (deleted_at) WHERE deleted_at IS NOT NULL",
    ),
    "messages_search_idx": ("INDEX", "messages USING gin (search)"),
    "tool_calls_deadline_idx": (
        "INDEX",
        f"tool_calls (deadline) WHERE deadline IS NOT NULL AND {_OPEN}",
    ),
    "tool_calls_external_id_key": (
        "UNIQUE INDEX",
        "tool_calls (conversation_id, external_id) WHERE external_id IS NOT NULL",
    ),
}


def upgrade() -> None:
    for name, (kind, definition) in _INDEXES.items():
        op.execute(f"CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON tenant_schema.{definition}")


def downgrade() -> None:
    for name in reversed(_INDEXES):
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS tenant_schema.{name}")
