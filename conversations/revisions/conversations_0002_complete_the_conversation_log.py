"""Complete the conversation log.

Counts and token totals, languages and what other wires send; summaries, feedback, attachments,
receipts of erasures, and answered requests. The words of a message depend on its language now.

Revision: conversations_0002
Revises: conversations_0001
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "conversations_0002"
down_revision = "conversations_0001"
branch_labels = None
depends_on = None
acknowledged = {
    "ban-drop-column": "No release has read the words; searching begins with this one.",
    "adding-field-with-default": "The words are computed from columns of the same row.",
}

_LANGUAGES = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
_CASES = " ".join(f"WHEN '{code}' THEN '{name}'::regconfig" for code, name in _LANGUAGES.items())
_WORDS = f"to_tsvector(CASE language {_CASES} ELSE 'simple'::regconfig END, left(text, 100000))"


def upgrade() -> None:
    op.create_table(
        "answered_requests",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("last_seq", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("answered_requests_pkey")),
    )
    op.create_index(
        "answered_requests_created_at_idx", "answered_requests", ["created_at"], unique=False
    )
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("removed", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("erasures_pkey")),
    )
    op.create_index("erasures_created_at_idx", "erasures", ["created_at"], unique=False)
    op.create_table(
        "attachments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("storage_name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("size >= 0", name=op.f("attachments_size_check")),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("attachments_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("attachments_pkey")),
    )
    op.create_index(
        "attachments_conversation_id_idx", "attachments", ["conversation_id"], unique=False
    )
    op.create_index("attachments_user_id_idx", "attachments", ["user_id"], unique=False)
    op.create_table(
        "summaries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("from_seq", sa.BigInteger(), nullable=False),
        sa.Column("to_seq", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("token_count", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "from_seq > 0 AND from_seq <= to_seq", name=op.f("summaries_range_check")
        ),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("summaries_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("summaries_pkey")),
    )
    op.create_index(
        "summaries_conversation_id_idx", "summaries", ["conversation_id", "to_seq"], unique=False
    )
    op.create_table(
        "feedback",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("rating", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("rating IN ('up', 'down')", name=op.f("feedback_rating_check")),
        sa.ForeignKeyConstraint(
            ["conversation_id"],
            ["conversations.id"],
            name=op.f("feedback_conversation_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["message_id"],
            ["messages.id"],
            name=op.f("feedback_message_id_fkey"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("feedback_pkey")),
    )
    op.create_index("feedback_conversation_id_idx", "feedback", ["conversation_id"], unique=False)
    op.create_index(
        "feedback_message_id_author_key", "feedback", ["message_id", "author"], unique=True
    )
    op.add_column("conversations", sa.Column("language", sa.Text(), nullable=True))
    op.add_column(
        "conversations",
        sa.Column("tool_call_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "conversations",
        sa.Column("input_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "conversations",
        sa.Column("output_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "conversations",
        sa.Column("cached_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "conversations",
        sa.Column("reasoning_tokens", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "conversations",
        sa.Column("read_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column(
        "conversations", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("messages", sa.Column("language", sa.Text(), nullable=True))
    op.drop_column("messages", "search")
    op.add_column(
        "messages",
        sa.Column(
            "search", postgresql.TSVECTOR(), sa.Computed(_WORDS, persisted=True), nullable=True
        ),
    )
    op.add_column("messages", sa.Column("input_tokens", sa.BigInteger(), nullable=True))
    op.add_column("messages", sa.Column("output_tokens", sa.BigInteger(), nullable=True))
    op.add_column("messages", sa.Column("cached_tokens", sa.BigInteger(), nullable=True))
    op.add_column("messages", sa.Column("reasoning_tokens", sa.BigInteger(), nullable=True))
    op.add_column(
        "messages",
        sa.Column(
            "extra", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
    )
    op.add_column("messages", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tool_calls", sa.Column("decided_by", sa.Text(), nullable=True))
    op.add_column("tool_calls", sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("tool_calls", sa.Column("reason", sa.Text(), nullable=True))
    op.add_column("tool_calls", sa.Column("external_id", sa.Text(), nullable=True))
    op.add_column(
        "tool_calls",
        sa.Column(
            "extra", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True
        ),
    )
    op.add_column("tool_calls", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("tool_calls", "deleted_at")
    op.drop_column("tool_calls", "extra")
    op.drop_column("tool_calls", "external_id")
    op.drop_column("tool_calls", "reason")
    op.drop_column("tool_calls", "decided_at")
    op.drop_column("tool_calls", "decided_by")
    op.drop_column("messages", "deleted_at")
    op.drop_column("messages", "extra")
    op.drop_column("messages", "reasoning_tokens")
    op.drop_column("messages", "cached_tokens")
    op.drop_column("messages", "output_tokens")
    op.drop_column("messages", "input_tokens")
    op.drop_column("messages", "search")
    op.drop_column("messages", "language")
    op.add_column(
        "messages",
        sa.Column(
            "search",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('simple'::regconfig, left(text, 100000))", persisted=True),
            nullable=True,
        ),
    )
    op.drop_column("conversations", "deleted_at")
    op.drop_column("conversations", "read_seq")
    op.drop_column("conversations", "reasoning_tokens")
    op.drop_column("conversations", "cached_tokens")
    op.drop_column("conversations", "output_tokens")
    op.drop_column("conversations", "input_tokens")
    op.drop_column("conversations", "tool_call_count")
    op.drop_column("conversations", "language")
    op.drop_table("feedback")
    op.drop_table("summaries")
    op.drop_table("attachments")
    op.drop_table("erasures")
    op.drop_table("answered_requests")
