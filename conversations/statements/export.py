"""What an export reads: pages of bounded size by key."""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    Uuid,
    bindparam,
    cast,
    column,
    func,
    select,
    true,
    tuple_,
)

from conversations.models import Attachment, Feedback, Summary
from conversations.statements.tables import CALLS, CONVERSATIONS, IS_KEPT, MESSAGES

SUMMARIES = Summary.metadata.tables["summaries"]
FEEDBACK = Feedback.metadata.tables["feedback"]
ATTACHMENTS = Attachment.metadata.tables["attachments"]

_MESSAGE_COLUMNS = [each for each in MESSAGES.c if each.name != "search"]


def heads_page(
    conversation_id: UUID | None, user_id: str | None, after: UUID | None, limit: int
) -> Select[Any]:
    """Conversations by id: one, or a user's, or all."""
    c = CONVERSATIONS.c
    query = select(CONVERSATIONS).where(IS_KEPT).order_by(c.id).limit(limit)
    if conversation_id is not None:
        query = query.where(c.id == conversation_id)
    if user_id is not None:
        query = query.where(c.user_id == user_id)
    if after is not None:
        query = query.where(c.id > after)
    return query


def messages_page(lasts: dict[UUID, int], after: int, max_rows: int, max_bytes: int) -> Select[Any]:
    """Messages of conversations up to the last position of each, in order.

    No more than so many of each conversation, beyond the position `after`; and no more than have
    so many bytes together, but one. Hidden ones are among them.
    """
    heads = (
        func.unnest(
            bindparam("ids", list(lasts), type_=ARRAY(Uuid)),
            bindparam("lasts", list(lasts.values()), type_=ARRAY(BigInteger)),
        )
        .table_valued(column("id", Uuid), column("last_seq", BigInteger))
        .render_derived(name="heads")
    )
    page = (
        select(*_MESSAGE_COLUMNS)
        .where(
            MESSAGES.c.conversation_id == heads.c.id,
            MESSAGES.c.seq > after,
            MESSAGES.c.seq <= heads.c.last_seq,
        )
        .order_by(MESSAGES.c.seq)
        .limit(max_rows)
        .lateral("page")
    )
    size = _bytes(page.c.text, page.c.content, page.c.extra) + _call_bytes(page.c.id)
    in_order = (page.c.conversation_id, page.c.seq)
    before = func.sum(size).over(order_by=in_order) - size
    measured = (
        select(*page.c, before.label("before")).select_from(heads.join(page, true())).subquery()
    )
    return (
        select(*(each for each in measured.c if each.name != "before"))
        .where(measured.c.before < max_bytes)
        .order_by(measured.c.conversation_id, measured.c.seq)
    )


def calls_of(message_ids: Sequence[UUID]) -> Select[Any]:
    """The tool calls of messages, each message's in order. Hidden ones are among them."""
    wanted = bindparam("message_ids", list(message_ids), type_=ARRAY(Uuid))
    return (
        select(CALLS)
        .where(CALLS.c.message_id == func.any(wanted))
        .order_by(CALLS.c.message_id, CALLS.c.index)
    )


def summaries_page(ids: Sequence[UUID], after: tuple[UUID, UUID], limit: int) -> Select[Any]:
    return _page(select(SUMMARIES), SUMMARIES, ids, after, limit)


def feedback_page(ids: Sequence[UUID], after: tuple[UUID, UUID], limit: int) -> Select[Any]:
    """With the position of the message; not what is about a hidden one."""
    query = select(FEEDBACK, MESSAGES.c.seq).join(
        MESSAGES, (MESSAGES.c.id == FEEDBACK.c.message_id) & MESSAGES.c.deleted_at.is_(None)
    )
    return _page(query, FEEDBACK, ids, after, limit)


def attachments_page(ids: Sequence[UUID], after: tuple[UUID, UUID], limit: int) -> Select[Any]:
    return _page(select(ATTACHMENTS), ATTACHMENTS, ids, after, limit)


def loose_attachments_page(user_id: str | None, after: UUID | None, limit: int) -> Select[Any]:
    """Files that belong to no conversation, by id: a user's, or all."""
    c = ATTACHMENTS.c
    query = select(ATTACHMENTS).where(c.conversation_id.is_(None)).order_by(c.id).limit(limit)
    if user_id is not None:
        query = query.where(c.user_id == user_id)
    if after is not None:
        query = query.where(c.id > after)
    return query


def _page(
    query: Select[Any], table: Any, ids: Sequence[UUID], after: tuple[UUID, UUID], limit: int
) -> Select[Any]:
    """Rows of conversations beyond a key of conversation and row."""
    key = tuple_(table.c.conversation_id, table.c.id)
    wanted = bindparam("ids", list(ids), type_=ARRAY(Uuid))
    return (
        query.where(table.c.conversation_id == func.any(wanted), key > after)
        .order_by(*key.clauses)
        .limit(limit)
    )


def _bytes(*columns: ColumnElement[Any]) -> ColumnElement[int]:
    first, *others = (func.coalesce(func.octet_length(cast(each, Text)), 0) for each in columns)
    return reduce(add, others, first)


def _call_bytes(message_id: ColumnElement[Any]) -> ColumnElement[int]:
    total = func.sum(_bytes(CALLS.c.arguments, CALLS.c.extra, CALLS.c.error))
    return func.coalesce(select(total).where(CALLS.c.message_id == message_id).scalar_subquery(), 0)
