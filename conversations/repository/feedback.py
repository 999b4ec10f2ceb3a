"""Feedback on messages."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, exists, literal, select, true, tuple_
from sqlalchemy.dialects.postgresql import insert

from conversations import schemas
from conversations.schemas import CONVERSATION_PREFIX, FEEDBACK_PREFIX, MESSAGE_PREFIX
from conversations.statements import (
    CONVERSATIONS,
    FEEDBACK,
    IS_KEPT,
    MESSAGES,
    in_conversation,
)
from tenants.db.unit_of_work import ReadSession, WriteSession
from tenants.ids import show_id

_COLUMNS = [*FEEDBACK.c, MESSAGES.c.seq]


async def put_feedback(
    session: WriteSession, conversation_id: UUID, message_id: UUID, values: Mapping[str, Any]
) -> schemas.Feedback | None:
    """Keep what an author thinks of a message, instead of what that author said before.

    values: `id`, `author`, `rating`, `comment` and `now`. What is there already keeps its id and
    the time at which it was first given. Returns None if there is no such message.
    """
    new = {name: values[name] for name in ("id", "author", "rating", "comment")}
    new |= {"created_at": values["now"], "updated_at": values["now"]}
    # The lock keeps the message from being erased before the row that refers to it is there.
    source = _messages(conversation_id, message_id).with_for_update(read=True, of=CONVERSATIONS)
    statement = insert(FEEDBACK).from_select(
        ["conversation_id", "message_id", *new],
        source.with_only_columns(
            MESSAGES.c.conversation_id,
            MESSAGES.c.id,
            *(literal(value, FEEDBACK.c[name].type) for name, value in new.items()),
        ),
        include_defaults=False,
    )
    replaced = ("rating", "comment", "updated_at")
    upsert = statement.on_conflict_do_update(
        index_elements=["message_id", "author"],
        set_={name: statement.excluded[name] for name in replaced},
    ).returning(
        *FEEDBACK.c,
        select(MESSAGES.c.seq).where(MESSAGES.c.id == message_id).scalar_subquery().label("seq"),
    )
    row = (await session.execute(upsert)).first()
    return _show_feedback(row) if row is not None else None


async def list_conversation_feedback(
    session: ReadSession, conversation_id: UUID, *, after: tuple[int, UUID], limit: int
) -> list[schemas.Feedback] | None:
    """Up to `limit` beyond a position of message and id. None if there is no such conversation."""
    page = (
        select(*_COLUMNS)
        .join(MESSAGES, MESSAGES.c.id == FEEDBACK.c.message_id)
        .where(
            FEEDBACK.c.conversation_id == conversation_id,
            MESSAGES.c.deleted_at.is_(None),
            tuple_(MESSAGES.c.seq, FEEDBACK.c.id) > after,
        )
        .order_by(MESSAGES.c.seq, FEEDBACK.c.id)
        .limit(limit)
    )
    rows = (await session.execute(in_conversation(page, conversation_id, "seq", "id"))).all()
    return _show_page(rows)


async def list_message_feedback(
    session: ReadSession, conversation_id: UUID, message_id: UUID, *, after: UUID, limit: int
) -> list[schemas.Feedback] | None:
    """Up to `limit` beyond an id, which is in the order of time. None if there is no such
    message."""
    page = (
        select(*FEEDBACK.c)
        .where(FEEDBACK.c.message_id == message_id, FEEDBACK.c.id > after)
        .order_by(FEEDBACK.c.id)
        .limit(limit)
        .subquery("page")
    )
    query = (
        _messages(conversation_id, message_id)
        .outerjoin(page, true())
        .with_only_columns(*page.c, MESSAGES.c.seq)
        .order_by(page.c.id)
    )
    return _show_page((await session.execute(query)).all())


async def delete_feedback(
    session: WriteSession, conversation_id: UUID, message_id: UUID, feedback_id: UUID
) -> bool:
    """Whether there was such feedback, and isn't any more."""
    message = _messages(conversation_id, message_id).with_only_columns(literal(1))
    statement = delete(FEEDBACK).where(
        FEEDBACK.c.id == feedback_id,
        FEEDBACK.c.message_id == message_id,
        exists(message.subquery().select()),
    )
    return bool((await session.execute(statement.returning(FEEDBACK.c.id))).first())


def _messages(conversation_id: UUID, message_id: UUID) -> Select[Any]:
    """The message, if neither it nor its conversation is hidden."""
    return (
        select(MESSAGES.c.id)
        .join(CONVERSATIONS, CONVERSATIONS.c.id == MESSAGES.c.conversation_id)
        .where(
            MESSAGES.c.id == message_id,
            MESSAGES.c.conversation_id == conversation_id,
            MESSAGES.c.deleted_at.is_(None),
            IS_KEPT,
        )
    )


def _show_page(rows: Any) -> list[schemas.Feedback] | None:
    return [_show_feedback(row) for row in rows if row.id is not None] if rows else None


def _show_feedback(row: Any) -> schemas.Feedback:
    return {
        "id": show_id(FEEDBACK_PREFIX, row.id),
        "conversation_id": show_id(CONVERSATION_PREFIX, row.conversation_id),
        "message_id": show_id(MESSAGE_PREFIX, row.message_id),
        "seq": row.seq,
        "author": row.author,
        "rating": row.rating,
        "comment": row.comment,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
