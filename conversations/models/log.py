"""The log: conversations, their messages, and the tool calls in these."""

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    Index,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from conversations.models.base import (
    CALL_STATUSES,
    CONVERSATION_STATUSES,
    MESSAGE_STATUSES,
    OPEN_CALL_STATUSES,
    ROLES,
    Base,
    one_of,
)
from conversations.models.languages import search_vector
from tenants.ids import new_id

# PostgreSQL refuses a tsvector of more than a megabyte; this many characters never make one.
SEARCHED_CHARACTERS = 100_000


class Conversation(Base):
    """A conversation and its head: what every append updates.

    last_seq: the `seq` of its newest message, 0 while it has none. version counts its changes.
    preview: the beginning of the newest text. token_count and those below, cost: sums over its
    messages. read_seq: how far its user has read. language: of its texts, as ISO 639-1 has it,
    where it is known. parent_id, fork_seq: the conversation that it branched off, and where.
    reindex_seq: up to where its messages are still indexed by a language that it had before.
    retain_until: when it is erased, unless under legal hold. deleted_at: since when it is hidden.
    """

    __tablename__ = "conversations"
    __table_args__ = (
        CheckConstraint(one_of("status", CONVERSATION_STATUSES), name="status"),
        CheckConstraint("jsonb_typeof(metadata) = 'object'", name="metadata"),
        Index("conversations_last_activity_at_idx", "last_activity_at", "id"),
        Index("conversations_user_id_idx", "user_id", "last_activity_at", "id"),
        Index("conversations_agent_id_idx", "agent_id", "last_activity_at", "id"),
        Index(
            "conversations_title_idx",
            text("to_tsvector('simple'::regconfig, title)"),
            postgresql_using="gin",
        ),
        Index("conversations_parent_id_idx", "parent_id"),
        Index(
            "conversations_retain_until_idx",
            "retain_until",
            postgresql_where=text("retain_until IS NOT NULL"),
        ),
        Index(
            "conversations_deleted_at_idx",
            "deleted_at",
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
        Index(
            "conversations_reindex_seq_idx",
            "reindex_seq",
            postgresql_where=text("reindex_seq IS NOT NULL"),
        ),
        Index(
            "conversations_metadata_idx",
            "metadata",
            postgresql_using="gin",
            postgresql_ops={"metadata": "jsonb_path_ops"},
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    user_id: Mapped[str | None]
    agent_id: Mapped[str | None]
    title: Mapped[str | None]
    language: Mapped[str | None]
    status: Mapped[str] = mapped_column(server_default="active")
    metadata_: Mapped[dict[str, Any]] = mapped_column(
        "metadata", server_default=text("'{}'::jsonb")
    )
    parent_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("conversations.id", ondelete="SET NULL")
    )
    fork_seq: Mapped[int | None]
    retain_until: Mapped[datetime | None]
    legal_hold: Mapped[bool] = mapped_column(server_default=text("false"))
    last_seq: Mapped[int] = mapped_column(server_default=text("0"))
    version: Mapped[int] = mapped_column(server_default=text("1"))
    preview: Mapped[str | None]
    message_count: Mapped[int] = mapped_column(server_default=text("0"))
    tool_call_count: Mapped[int] = mapped_column(server_default=text("0"))
    token_count: Mapped[int] = mapped_column(server_default=text("0"))
    input_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    output_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    cached_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    reasoning_tokens: Mapped[int] = mapped_column(server_default=text("0"))
    cost: Mapped[Decimal] = mapped_column(server_default=text("0"))
    read_seq: Mapped[int] = mapped_column(server_default=text("0"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_activity_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]
    reindex_seq: Mapped[int | None]

    messages: Mapped[list["Message"]] = relationship(
        back_populates="conversation",
        order_by="Message.seq",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="raise",
    )


class Message(Base):
    """One entry of the log.

    kind: `message`, or what another wire calls it. content: typed parts, or NULL where the content
    is plain text. text: that text, or what can be read of the parts. call_id: for the role `tool`,
    the call that it answers. external_id: the client's own id, unique in the conversation.
    extra: what a wire sent that has no column, to be given back as it came.
    deleted_at: since when it is hidden; its position stays taken.
    """

    __tablename__ = "messages"
    __table_args__ = (
        UniqueConstraint("conversation_id", "seq"),
        CheckConstraint("seq > 0", name="seq"),
        CheckConstraint(one_of("role", ROLES), name="role"),
        CheckConstraint(one_of("status", MESSAGE_STATUSES), name="status"),
        Index("messages_search_idx", "search", postgresql_using="gin"),
        # They stand nearly in the order of time: ranges of pages are enough, and cost nothing.
        Index("messages_created_at_idx", "created_at", postgresql_using="brin"),
        # A context has them all, however long the conversation is.
        Index(
            "messages_instructions_idx",
            "conversation_id",
            "seq",
            postgresql_where=text("role IN ('system', 'developer')"),
        ),
        Index(
            "messages_external_id_key",
            "conversation_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[UUID] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE")
    )
    seq: Mapped[int]
    role: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default="message")
    status: Mapped[str] = mapped_column(server_default="completed")
    content: Mapped[list[Any] | None] = mapped_column(JSONB(none_as_null=True))
    text: Mapped[str | None]
    language: Mapped[str | None]
    search: Mapped[str | None] = mapped_column(
        TSVECTOR,
        Computed(search_vector(f"left(text, {SEARCHED_CHARACTERS})", "language"), persisted=True),
        deferred=True,
    )
    call_id: Mapped[str | None]
    model: Mapped[str | None]
    token_count: Mapped[int | None]
    input_tokens: Mapped[int | None]
    output_tokens: Mapped[int | None]
    cached_tokens: Mapped[int | None]
    reasoning_tokens: Mapped[int | None]
    cost: Mapped[Decimal | None]
    external_id: Mapped[str | None]
    extra: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    conversation: Mapped[Conversation] = relationship(back_populates="messages", lazy="raise")
    tool_calls: Mapped[list["ToolCall"]] = relationship(
        back_populates="message",
        foreign_keys="ToolCall.message_id",
        order_by="ToolCall.index",
        cascade="all, delete-orphan",
        passive_deletes=True,
        lazy="raise",
    )


class ToolCall(Base):
    """A call that an assistant's message asks for, and how it went.

    call_id: the model provider's id, unique in its conversation. external_id: that of the item
    which another wire makes of it. output_message_id: the message of role `tool` that answers it.
    attempts: how often it was begun. deadline: when it expires, if it is still open.
    decided_by, decided_at, reason: who allowed or denied it, when, and why.
    extra: as in Message; its `requires_approval` says that the call began as `awaiting_approval`.
    deleted_at: as in Message.
    """

    __tablename__ = "tool_calls"
    __table_args__ = (
        UniqueConstraint("conversation_id", "call_id"),
        UniqueConstraint("message_id", "index"),
        CheckConstraint(one_of("status", CALL_STATUSES), name="status"),
        Index(
            "tool_calls_open_idx",
            "conversation_id",
            postgresql_where=text(one_of("status", OPEN_CALL_STATUSES)),
        ),
        Index("tool_calls_output_message_id_idx", "output_message_id"),
        Index(
            "tool_calls_deadline_idx",
            "deadline",
            postgresql_where=text(
                f"deadline IS NOT NULL AND {one_of('status', OPEN_CALL_STATUSES)}"
            ),
        ),
        Index(
            "tool_calls_external_id_key",
            "conversation_id",
            "external_id",
            unique=True,
            postgresql_where=text("external_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[UUID] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE")
    )
    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    index: Mapped[int] = mapped_column(SmallInteger)
    call_id: Mapped[str]
    name: Mapped[str]
    arguments: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(server_default="requested")
    error: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))
    deadline: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    reason: Mapped[str | None]
    external_id: Mapped[str | None]
    extra: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    output_message_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("messages.id", ondelete="SET NULL")
    )
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]

    message: Mapped[Message] = relationship(
        back_populates="tool_calls", foreign_keys=[message_id], lazy="raise"
    )
