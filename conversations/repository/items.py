"""Items of the OpenAI wire: rows of messages, from which the service makes them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, Text, and_, bindparam, case, cast, func, null, or_, select, update

from conversations.statements import (
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_OPEN,
    MESSAGE_IS_KEPT,
    MESSAGES,
    REQUIRED_APPROVAL,
)
from conversations.statements.items import (
    held_statement,
    item_statement,
    items_statement,
    range_statement,
)
from tenants.db.unit_of_work import ReadSession, WriteSession


async def list_item_rows(
    session: ReadSession,
    conversation_id: UUID,
    *,
    descending: bool,
    after: tuple[str, UUID | None] | None,
    limit: int,
) -> list[dict[str, Any]]:
    """Up to `limit` rows, as `items_statement` says. after: an item's id, and its key."""
    values: dict[str, Any] = {"conversation_id": conversation_id, "limit": limit}
    if after is not None:
        values["item_id"], values["item_key"] = after
    rows = await session.fetch(items_statement(descending, after is not None), **values)
    return [_read(row) for row in rows]


async def list_rows_from(
    session: ReadSession, conversation_id: UUID, from_seq: int, limit: int
) -> list[dict[str, Any]]:
    rows = await session.fetch(
        range_statement(), conversation_id=conversation_id, from_seq=from_seq, limit=limit
    )
    return [_read(row) for row in rows]


async def find_item_rows(
    session: ReadSession, conversation_id: UUID, item_id: str, item_key: UUID | None
) -> list[dict[str, Any]]:
    """The rows that may hold an item; none if it or its conversation is unknown or deleted."""
    rows = await session.fetch(
        item_statement(), conversation_id=conversation_id, item_id=item_id, item_key=item_key
    )
    return [_read(row) for row in rows]


async def find_held(
    session: ReadSession,
    conversation_id: UUID,
    call_ids: Sequence[str],
    item_ids: Sequence[str],
    item_keys: Sequence[UUID],
) -> list[Any]:
    """Who has these ids in the conversation, as `held_statement` says; deleted ones too."""
    return await session.fetch(
        held_statement(),
        conversation_id=conversation_id,
        call_ids=call_ids,
        item_ids=item_ids,
        item_keys=item_keys,
    )


async def free_ids(
    session: WriteSession, conversation_id: UUID, call_ids: Sequence[str], item_ids: Sequence[str]
) -> None:
    """Take these ids from what has been deleted, so that it can be written anew.

    An output that is kept stays the deleted call's: its `call_id` changes with that of the call.
    """
    in_call_ids, in_item_ids = (
        func.any(bindparam(name, ids, type_=ARRAY(Text)))
        for name, ids in (("call_ids", call_ids), ("item_ids", item_ids))
    )
    await session.execute(
        update(MESSAGES)
        .where(
            MESSAGES.c.conversation_id == conversation_id,
            MESSAGES.c.external_id == in_item_ids,
            ~MESSAGE_IS_KEPT,
        )
        .values(external_id=None)
    )
    freed = (
        update(CALLS)
        .where(
            CALLS.c.conversation_id == conversation_id,
            CALLS.c.call_id == in_call_ids,
            ~CALL_IS_KEPT,
        )
        # With a space, which no client's has: `service.keys.given_call_id` takes it off again.
        .values(call_id=CALLS.c.call_id + " " + cast(CALLS.c.id, Text))
        .returning(CALLS.c.call_id, CALLS.c.output_message_id)
        .cte("freed")
    )
    await session.execute(
        update(MESSAGES)
        .where(MESSAGES.c.id == freed.c.output_message_id)
        .values(call_id=freed.c.call_id)
    )
    await session.execute(
        update(CALLS)
        .where(
            CALLS.c.conversation_id == conversation_id,
            CALLS.c.external_id == in_item_ids,
            ~CALL_IS_KEPT,
        )
        .values(external_id=None)
    )


async def hide_message(
    session: WriteSession,
    conversation_id: UUID,
    message_id: UUID,
    now: datetime,
    preview_characters: int,
) -> None:
    """Hide a message with its calls, and open again the call that it answers.

    That one waits for approval, if it needs that and nobody has given it.
    """
    message = update(MESSAGES).where(MESSAGES.c.id == message_id).values(deleted_at=now)
    hidden = _hide_calls(now).where(CALLS.c.message_id == message_id)
    hidden = hidden.returning(CALLS.c.id).cte("hidden")
    lacks_approval = or_(
        CALLS.c.status == "denied", and_(REQUIRED_APPROVAL, CALLS.c.decided_at.is_(None))
    )
    decided = [CALLS.c[name] for name in ("decided_by", "decided_at", "reason")]
    opened = (
        update(CALLS)
        .where(CALLS.c.output_message_id == message_id, CALL_IS_KEPT)
        .values(
            status=case((lacks_approval, "awaiting_approval"), else_="requested"),
            error=None,
            output_message_id=None,
            updated_at=now,
            **{each.name: case((lacks_approval, null()), else_=each) for each in decided},
        )
    )
    head = _update_head(
        conversation_id,
        now,
        message_count=CONVERSATIONS.c.message_count - 1,
        tool_call_count=_less(select(func.count()).select_from(hidden).scalar_subquery()),
        preview=_newest_text_but(message_id, conversation_id, preview_characters),
    )
    await session.execute(head.add_cte(message.cte("message"), opened.cte("opened")))


async def hide_content(
    session: WriteSession,
    conversation_id: UUID,
    message_id: UUID,
    now: datetime,
    preview_characters: int,
) -> None:
    """Take the content from a message that keeps its calls; it is kept where nobody reads it."""
    c = MESSAGES.c
    content = func.jsonb_build_object("text", c.text, "content", c.content)
    hidden = func.jsonb_build_object("hidden", content)
    extra = func.coalesce(c.extra, func.jsonb_build_object()).op("||")(hidden)
    message = update(MESSAGES).where(c.id == message_id)
    message = message.values(text=None, content=None, extra=extra)
    preview = _newest_text_but(message_id, conversation_id, preview_characters)
    head = _update_head(conversation_id, now, preview=preview)
    await session.execute(head.add_cte(message.cte("message")))


async def hide_call(
    session: WriteSession, conversation_id: UUID, call_id: UUID, now: datetime
) -> None:
    """Hide one of several calls of a message. It is over, if it was open."""
    call = _hide_calls(now).where(CALLS.c.id == call_id)
    head = _update_head(conversation_id, now, tool_call_count=_less(1))
    await session.execute(head.add_cte(call.cte("call")))


def _hide_calls(now: datetime) -> Any:
    status = case((IS_OPEN, "cancelled"), else_=CALLS.c.status)
    return update(CALLS).where(CALL_IS_KEPT).values(deleted_at=now, updated_at=now, status=status)


def _less(count: Any) -> Any:
    return func.greatest(CONVERSATIONS.c.tool_call_count - count, 0)


def _newest_text_but(message_id: UUID, conversation_id: UUID, characters: int) -> Any:
    """The beginning of the newest text; the statement still sees the message that it hides."""
    return (
        select(func.left(MESSAGES.c.text, characters))
        .where(
            MESSAGES.c.conversation_id == conversation_id,
            MESSAGES.c.id != message_id,
            MESSAGES.c.text != "",
            MESSAGE_IS_KEPT,
        )
        .order_by(MESSAGES.c.seq.desc())
        .limit(1)
        .scalar_subquery()
    )


def _update_head(conversation_id: UUID, now: datetime, **values: Any) -> Any:
    return (
        update(CONVERSATIONS)
        .where(CONVERSATIONS.c.id == conversation_id)
        .values(version=CONVERSATIONS.c.version + 1, updated_at=now, **values)
    )


def _read(row: Any) -> dict[str, Any]:
    calls = orjson.loads(row["calls"] or b"[]")
    return {**row, "calls": [{**call, "id": UUID(call["id"])} for call in calls]}
