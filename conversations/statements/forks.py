"""The fork: one statement that copies a conversation up to a position.

Whole rows are copied inside the database. Each copy's id is made of the new conversation's id and
of the row that it copies, so that rows find each other without being read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Select,
    Text,
    Uuid,
    and_,
    case,
    cast,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
)

from conversations.statements.tables import (
    CALL_IS_KEPT,
    CALLS,
    CONVERSATIONS,
    IS_KEPT,
    IS_OPEN,
    MESSAGE_IS_KEPT,
    MESSAGES,
    REQUIRED_APPROVAL,
    SUMMARIES,
)
from tenants.db.base import Timestamp

_SUMS = (
    "token_count",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost",
)
# What is copied of a deleted message, and of a deleted call: its place, and what belongs to it.
_MESSAGE_PLACE = ("seq", "role", "kind", "status", "call_id", "created_at", "deleted_at")
_CALL_PLACE = ("index", "call_id", "status", "attempts", "created_at")


def fork_statement(
    target: UUID,
    copy: UUID,
    at_seq: int,
    own: Mapping[str, Any],
    *,
    answered: str | None,
    now: datetime,
    preview_characters: int,
) -> Select[Any]:
    """Gives the new conversation's id; no row, having written nothing, if the target is unknown,
    deleted or shorter.

    own: what the new conversation doesn't take over, by column. answered: the `call_id` of a call
    that is about to get an output, and so needs no approval.
    """
    new = _insert_conversation(target, copy, at_seq, own, now, preview_characters)
    within = and_(MESSAGES.c.conversation_id == target, MESSAGES.c.seq <= at_seq)
    inserts = [
        _insert_messages(new, copy, within),
        _insert_calls(new, copy, target, at_seq, answered, now),
        _insert_summaries(new, copy, target, at_seq),
    ]
    return select(new.c.id).add_cte(*inserts)


def _insert_conversation(
    target: UUID, copy: UUID, at_seq: int, own: Mapping[str, Any], now: datetime, characters: int
) -> CTE:
    c, m = CONVERSATIONS.c, MESSAGES.c
    kept = and_(m.conversation_id == target, m.seq <= at_seq, MESSAGE_IS_KEPT)
    sums = (
        select(
            func.count().label("message_count"),
            *(func.coalesce(func.sum(m[name]), 0).label(name) for name in _SUMS),
        )
        .where(kept)
        .subquery("sums")
    )
    calls = select(func.count()).select_from(CALLS.join(MESSAGES, CALLS.c.message_id == m.id))
    newest_text = select(func.left(m.text, characters)).where(kept, m.text != "")
    moment = literal(now, Timestamp)
    taken_over = ("user_id", "agent_id", "title", "language", "metadata", "retain_until")
    values: dict[str, Any] = {
        "id": literal(copy, Uuid),
        "parent_id": c.id,
        "fork_seq": literal(at_seq, BigInteger),
        "last_seq": literal(at_seq, BigInteger),
        "read_seq": func.least(c.read_seq, at_seq),
        # LEAST would take a NULL for the larger one.
        "reindex_seq": case(
            (c.reindex_seq.is_not(None), func.nullif(func.least(c.reindex_seq, at_seq), 0))
        ),
        "preview": newest_text.order_by(m.seq.desc()).limit(1).scalar_subquery(),
        "tool_call_count": calls.where(kept, CALL_IS_KEPT).scalar_subquery(),
        **dict(sums.c),
        **dict.fromkeys(("created_at", "updated_at", "last_activity_at"), moment),
        **{name: c[name] for name in taken_over},
        **{name: literal(value, c[name].type) for name, value in own.items()},
    }
    source = (
        select(*values.values())
        .select_from(CONVERSATIONS.join(sums, true()))
        .where(c.id == target, IS_KEPT, c.last_seq >= at_seq)
    )
    statement = insert(CONVERSATIONS).from_select(list(values), source, include_defaults=False)
    return statement.returning(c.id).cte("new")


def _insert_messages(new: CTE, copy: UUID, within: ColumnElement[bool]) -> CTE:
    values: dict[str, Any] = {
        "id": _copied_id(copy, MESSAGES.c.id, MESSAGES.c.seq),
        "conversation_id": new.c.id,
    } | {
        column.name: column
        if column.name in _MESSAGE_PLACE
        else case((MESSAGE_IS_KEPT, column), else_=null())
        for column in MESSAGES.c
        if column.computed is None and column.name not in ("id", "conversation_id")
    }
    # A content that was deleted alone lies there from then on. (Items of other types have none.)
    m = MESSAGES.c
    is_emptied = and_(MESSAGE_IS_KEPT, m.kind == "message", m.text.is_(None), m.content.is_(None))
    values["extra"] = case(
        (is_emptied, m.extra.op("-")(literal("hidden", Text))), else_=values["extra"]
    )
    source = select(*values.values()).select_from(MESSAGES.join(new, true())).where(within)
    return _insert(MESSAGES, values, source, "copied_messages")


def _insert_calls(
    new: CTE, copy: UUID, target: UUID, at_seq: int, answered: str | None, now: datetime
) -> CTE:
    """A call whose output isn't copied is open again, as it was there.

    One that needed somebody's approval needs it once more: nobody has approved of it here.
    Of a deleted one only its place is copied, so that its output is known to be one.
    """
    c, output = CALLS.c, MESSAGES.alias("output")
    is_kept = and_(MESSAGE_IS_KEPT, CALL_IS_KEPT)
    has_lost_output = and_(c.output_message_id.is_not(None), output.c.id.is_(None))
    reopened = and_(is_kept, or_(IS_OPEN, has_lost_output))
    needs_approval = or_(
        c.status == "awaiting_approval", c.decided_at.is_not(None), REQUIRED_APPROVAL
    )
    awaits = needs_approval if answered is None else and_(needs_approval, c.call_id != answered)
    afresh: dict[str, Any] = {
        "status": case((awaits, "awaiting_approval"), else_="requested"),
        "attempts": literal(0, c.attempts.type),
        **dict.fromkeys(("error", "deadline", "decided_by", "decided_at", "reason"), null()),
    }
    blank = {"name": literal(""), "arguments": literal({}, c.arguments.type)}
    values: dict[str, Any] = {}
    for column in c:
        copied: Any = column
        if column.name in afresh:
            copied = case((reopened, afresh[column.name]), else_=copied)
        if column.name not in _CALL_PLACE:
            copied = case((is_kept, copied), else_=blank.get(column.name, null()))
        values[column.name] = copied
    values |= {
        "id": _copied_id(copy, c.id, MESSAGES.c.seq),
        "conversation_id": new.c.id,
        "message_id": _copied_id(copy, MESSAGES.c.id, MESSAGES.c.seq),
        "output_message_id": case(
            (output.c.id.is_not(None), _copied_id(copy, output.c.id, output.c.seq))
        ),
        "updated_at": case((reopened, literal(now, Timestamp)), else_=c.updated_at),
        "deleted_at": func.coalesce(c.deleted_at, MESSAGES.c.deleted_at),
    }
    source = (
        select(*values.values())
        .select_from(CALLS.join(MESSAGES, MESSAGES.c.id == c.message_id).join(new, true()))
        .outerjoin(output, and_(output.c.id == c.output_message_id, output.c.seq <= at_seq))
        .where(c.conversation_id == target, MESSAGES.c.seq <= at_seq)
    )
    return _insert(CALLS, values, source, "copied_calls")


def _insert_summaries(new: CTE, copy: UUID, target: UUID, at_seq: int) -> CTE:
    values: dict[str, Any] = dict(SUMMARIES.c) | {
        "id": _copied_id(copy, SUMMARIES.c.id, SUMMARIES.c.to_seq),
        "conversation_id": new.c.id,
    }
    source = (
        select(*values.values())
        .select_from(SUMMARIES.join(new, true()))
        .where(SUMMARIES.c.conversation_id == target, SUMMARIES.c.to_seq <= at_seq)
    )
    return _insert(SUMMARIES, values, source, "copied_summaries")


def _insert(table: Any, values: Mapping[str, Any], source: Select[Any], name: str) -> CTE:
    statement = insert(table).from_select(list(values), source, include_defaults=False)
    return statement.cte(name)


def _copied_id(
    copy: UUID, original: ColumnElement[UUID], position: ColumnElement[int]
) -> ColumnElement[UUID]:
    """A UUIDv7 with the new conversation's time, then the position, then a digest.

    So they are neighbours in the index, in the order of the log, and each row has one of its own.
    Source: RFC 9562, section 5.7.
    """
    places = func.lpad(func.to_hex(position % 2**24), 6, "0")
    digest = func.left(func.md5(literal(copy.hex).op("||")(cast(original, Text))), 12)
    digits = places.op("||")(digest)
    text = func.concat(f"{copy.hex[:12]}7", func.left(digits, 3), "8", func.substr(digits, 4))
    return cast(text, Uuid)
