"""The data layer with SQLAlchemy Core: few statements, rows straight to JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    CursorResult,
    DateTime,
    Table,
    Text,
    and_,
    cast,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.peers.cursor import encode_cursor
from benchmarks.peers.shapes import MessageIn
from benchmarks.peers.statements import MOMENT
from conversations.models import Conversation, Message, ToolCall
from tenants.ids import new_id, show_id

CONVERSATIONS: Table = Conversation.metadata.tables["conversations"]
MESSAGES: Table = Message.metadata.tables["messages"]
CALLS: Table = ToolCall.metadata.tables["tool_calls"]
_c, _m, _t = CONVERSATIONS.c, MESSAGES.c, CALLS.c
_IS_KEPT = and_(
    _c.deleted_at.is_(None),
    _c.status != "deleted",
    or_(_c.retain_until.is_(None), _c.retain_until > func.now(), _c.legal_hold),
)
_TOKEN_KINDS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
_MESSAGE_NAMES = (
    *("id", "seq", "role", "kind", "status", "content", "text", "call_id", "external_id", "model"),
    *("token_count", *_TOKEN_KINDS, "cost", "created_at"),
)
_CALL_NAMES = (
    *("id", "call_id", "name", "arguments", "status", "error", "attempts"),
    *("deadline", "decided_by", "decided_at", "reason", "output_message_id", "created_at"),
    "updated_at",
)
_CONVERSATION_NAMES = (
    *("id", "user_id", "agent_id", "title", "language", "status", "metadata", "retain_until"),
    *("legal_hold", "parent_id", "fork_seq", "preview", "last_seq", "read_seq", "version"),
    *("message_count", "tool_call_count", "token_count", *_TOKEN_KINDS, "cost", "created_at"),
    *("updated_at", "last_activity_at"),
)
_CONVERSATION_COLUMNS = [_c[name] for name in _CONVERSATION_NAMES]


def _shown_id(prefix: str, key: Any) -> Any:
    return literal_column(f"'{prefix}_'").op("||")(func.replace(cast(key, Text), "-", ""))


def _shown_call() -> Any:
    shown = {
        name: func.to_char(func.timezone("UTC", _t[name]), MOMENT)
        if isinstance(_t[name].type, DateTime)
        else _t[name]
        for name in _CALL_NAMES
    }
    shown["id"] = _shown_id("call", _t.id)
    shown["output_message_id"] = _shown_id("msg", _t.output_message_id)
    return func.json_build_object(*chain.from_iterable(shown.items()))


# PostgreSQL makes the calls' JSON: for each page they are many rows.
_CALLS_OF_MESSAGE = (
    select(cast(func.json_agg(aggregate_order_by(_shown_call(), _t.index)), Text))
    .where(_t.message_id == _m.id, _t.deleted_at.is_(None))
    .scalar_subquery()
)
_MESSAGE_COLUMNS = [*(_m[name] for name in _MESSAGE_NAMES), _CALLS_OF_MESSAGE]
# What a new message and a new call don't say.
_NEW_MESSAGE = dict.fromkeys(_MESSAGE_NAMES) | {"kind": "message", "status": "completed"}
_NEW_CALL = dict.fromkeys(_CALL_NAMES) | {"status": "requested", "attempts": 0}


async def append(connection: AsyncConnection, key: UUID, new: MessageIn) -> bytes | None:
    """The answer; None if there is no such conversation to append to."""
    now, message_id = datetime.now(UTC), new_id()
    head = (
        await connection.execute(
            update(CONVERSATIONS)
            .where(_c.id == key, _c.status == "active", _IS_KEPT)
            .values(
                last_seq=_c.last_seq + 1,
                version=_c.version + 1,
                message_count=_c.message_count + 1,
                token_count=_c.token_count + (new.token_count or 0),
                tool_call_count=_c.tool_call_count + len(new.tool_calls),
                preview=func.coalesce(new.content and new.content[:200], _c.preview),
                last_activity_at=func.greatest(_c.last_activity_at, now),
            )
            .returning(_c.last_seq, _c.language)
        )
    ).one_or_none()
    if head is None:
        return None
    message = {
        **_NEW_MESSAGE,
        "id": message_id,
        "seq": head.last_seq,
        "role": new.role,
        "text": new.content,
        "model": new.model,
        "token_count": new.token_count,
        "created_at": now,
    }
    await connection.execute(
        insert(MESSAGES), {**message, "conversation_id": key, "language": head.language}
    )
    calls: list[dict[str, Any]] = [
        {
            **_NEW_CALL,
            "id": new_id(),
            "call_id": call.call_id,
            "name": call.name,
            "arguments": call.arguments,
            "created_at": now,
            "updated_at": now,
        }
        for call in new.tool_calls
    ]
    if calls:
        of_it = {"conversation_id": key, "message_id": message_id}
        rows = [{**call, **of_it, "index": n} for n, call in enumerate(calls)]
        await connection.execute(insert(CALLS), rows)
    shown = [{**call, "id": show_id("call", call["id"])} for call in calls]
    return _dump(_show_message(message, show_id("conv", key), shown))


async def list_messages(connection: AsyncConnection, key: UUID, limit: int) -> bytes | None:
    """None if there is no such conversation."""
    in_it = and_(_m.conversation_id == _c.id, _m.deleted_at.is_(None))
    result = await connection.execute(
        select(*_MESSAGE_COLUMNS)
        .select_from(CONVERSATIONS.outerjoin(MESSAGES, in_it))
        .where(_c.id == key, _IS_KEPT)
        .order_by(_m.seq)
        .limit(limit + 1)
    )
    rows = _read(result, (*_MESSAGE_NAMES, "tool_calls"))
    if not rows:
        return None
    shown = show_id("conv", key)
    messages = [
        _show_message(row, shown, orjson.Fragment(row["tool_calls"]) if row["tool_calls"] else [])
        for row in rows
        if row["id"] is not None
    ]
    page = {"data": messages[:limit], "has_more": len(messages) > limit, "next_cursor": None}
    return _dump(page)


async def list_conversations(connection: AsyncConnection, limit: int) -> bytes:
    result = await connection.execute(
        select(*_CONVERSATION_COLUMNS)
        .where(_IS_KEPT)
        .order_by(_c.last_activity_at.desc(), _c.id.desc())
        .limit(limit + 1)
    )
    rows = _read(result, _CONVERSATION_NAMES)
    cursor = None
    if len(rows) > limit:
        cursor = encode_cursor(rows[limit - 1]["last_activity_at"], rows[limit - 1]["id"])
    data = [_show_conversation(row) for row in rows[:limit]]
    return _dump({"data": data, "has_more": len(rows) > limit, "next_cursor": cursor})


def _read(result: CursorResult[Any], names: Sequence[str]) -> list[dict[str, Any]]:
    """Rows as dictionaries, which SQLAlchemy's own views of its rows are slower than."""
    return [dict(zip(names, row, strict=True)) for row in result]


def _dump(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_UTC_Z)


def _show_message(row: dict[str, Any], conversation: str, calls: Any) -> dict[str, Any]:
    """calls: as they are shown."""
    content, cost = row["content"], row["cost"]
    return {
        "id": show_id("msg", row["id"]),
        "conversation_id": conversation,
        "seq": row["seq"],
        "role": row["role"],
        "kind": row["kind"],
        "status": row["status"],
        "content": row["text"] if content is None else content,
        "call_id": row["call_id"],
        "external_id": row["external_id"],
        "model": row["model"],
        "token_count": row["token_count"],
        "usage": None if row["input_tokens"] is None else _show_usage(row),
        "cost": cost and format(cost.normalize(), "f"),
        "tool_calls": calls,
        "created_at": row["created_at"],
    }


def _show_usage(row: dict[str, Any]) -> dict[str, int]:
    return {kind: row[kind] for kind in _TOKEN_KINDS}


def _show_conversation(row: dict[str, Any]) -> dict[str, Any]:
    shown = row | {
        "id": show_id("conv", row["id"]),
        "parent_id": show_id("conv", row["parent_id"]) if row["parent_id"] else None,
        "expires_at": row["retain_until"],
        "unread_count": max(row["last_seq"] - row["read_seq"], 0),
        "usage": _show_usage(row),
        "cost": format(row["cost"].normalize(), "f"),
    }
    for name in ("retain_until", *_TOKEN_KINDS):
        del shown[name]
    return shown
