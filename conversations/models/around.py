"""What belongs to the log and isn't in it: summaries, feedback, attachments, receipts, repeats."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from conversations.models.base import RATINGS, Base, one_of
from tenants.ids import new_id


class Summary(Base):
    """A text that stands for the messages from one position to another, both included."""

    __tablename__ = "summaries"
    __table_args__ = (
        CheckConstraint("from_seq > 0 AND from_seq <= to_seq", name="range"),
        Index("summaries_conversation_id_idx", "conversation_id", "to_seq"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[UUID] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE")
    )
    from_seq: Mapped[int]
    to_seq: Mapped[int]
    text: Mapped[str]
    model: Mapped[str | None]
    token_count: Mapped[int | None]
    created_at: Mapped[datetime]


class Feedback(Base):
    """What somebody thinks of a message, once for each author.

    author: an id in the client's own system.
    """

    __tablename__ = "feedback"
    __table_args__ = (
        CheckConstraint(one_of("rating", RATINGS), name="rating"),
        Index("feedback_message_id_author_key", "message_id", "author", unique=True),
        Index("feedback_conversation_id_idx", "conversation_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[UUID] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE")
    )
    message_id: Mapped[UUID] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    author: Mapped[str]
    rating: Mapped[str | None]
    comment: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Attachment(Base):
    """A file that messages refer to. The bytes are in the storage, under `storage_name`.

    conversation_id: the conversation with which it goes, if it belongs to one.
    size: in bytes. sha256: of the bytes.
    """

    __tablename__ = "attachments"
    __table_args__ = (
        CheckConstraint("size >= 0", name="size"),
        Index("attachments_conversation_id_idx", "conversation_id"),
        Index("attachments_user_id_idx", "user_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    conversation_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("conversations.id", ondelete="CASCADE")
    )
    user_id: Mapped[str | None]
    name: Mapped[str]
    media_type: Mapped[str]
    size: Mapped[int]
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    storage_name: Mapped[str]
    created_at: Mapped[datetime]


class Erasure(Base):
    """A receipt: what was erased for good, when and for whom. It holds nothing of the content.

    subject: the id of the conversation, or of the end user. removed: how many of
    each kind, and `kept`: the ids of conversations that legal holds kept.
    """

    __tablename__ = "erasures"
    __table_args__ = (
        Index("erasures_created_at_idx", "created_at"),
        Index("erasures_subject_idx", "subject", "id"),
        Index("erasures_open_idx", "created_at", postgresql_where=text("completed_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    kind: Mapped[str]
    subject: Mapped[str]
    requested_by: Mapped[str]
    removed: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]


class AnsweredRequest(Base):
    """A request that wrote something, remembered so that its repetition gets the same answer.

    digest: names the caller and the key, or the caller, the path and the body of a request without
    a key. fingerprint: SHA-256 of what was asked. status, body: the answer.
    conversation_id, last_seq: where such a request left its conversation.

    The OpenAI wire keeps one for each conversation: its newest append, with the id of the last
    message in the place of the body.
    """

    __tablename__ = "answered_requests"
    __table_args__ = (
        Index("answered_requests_created_at_idx", "created_at"),
        Index(
            "answered_requests_conversation_id_idx",
            "conversation_id",
            postgresql_where=text("conversation_id IS NOT NULL"),
        ),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int] = mapped_column(SmallInteger)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    conversation_id: Mapped[UUID | None]
    last_seq: Mapped[int | None]
    created_at: Mapped[datetime]
