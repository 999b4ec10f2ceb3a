"""The data layer with SQLAlchemy Core: few statements, rows straight to JSON."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Table, and_, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.peers.cursor import encode_cursor
from benchmarks.peers.shapes import MessageIn
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
_AS_THEY_ARE = (
    *("seq", "role", "kind", "status", "call_id", "external_id", "model", "token_count"),
    "created_at",
)
_CALL_AS_IT_IS = (
    *("call_id", "name", "arguments", "status", "error", "attempts", "deadline", "decided_by"),
    *("decided_at", "reason", "created_at", "updated_at"),
)
_CONVERSATION_AS_IT_IS = (
    *("user_id", "agent_id", "title", "language", "status", "metadata", "legal_hold", "fork_seq"),
    *("preview", "last_seq", "read_seq", "version", "message_count", "tool_call_count"),
    *("token_count", "created_at", "updated_at", "last_activity_at"),
)
_MESSAGE_COLUMNS = [
    _m[name] for name in ("id", "content", "text", "cost", *_AS_THEY_ARE, *_TOKEN_KINDS)
]
_CALL_COLUMNS = [_t[name] for name in ("id", "message_id", "output_message_id", *_CALL_AS_IT_IS)]
_CONVERSATION_COLUMNS = [
    _c[name]
    for name in (
        *("id", "parent_id", "retain_until", "cost"),
        *(*_CONVERSATION_AS_IT_IS, *_TOKEN_KINDS),
    )
]


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
        "id": message_id,
        "seq": head.last_seq,
        "role": new.role,
        "kind": "message",
        "status": "completed",
        "text": new.content,
        "model": new.model,
        "token_count": new.token_count,
        "created_at": now,
    }
    await connection.execute(
        insert(MESSAGES), {**message, "conversation_id": key, "language": head.language}
    )
    calls = [
        {
            "id": new_id(),
            "message_id": message_id,
            "index": index,
            **call.model_dump(),
            "status": "requested",
            "attempts": 0,
            "created_at": now,
            "updated_at": now,
        }
        for index, call in enumerate(new.tool_calls)
    ]
    if calls:
        rows = [{**call, "conversation_id": key} for call in calls]
        await connection.execute(insert(CALLS), rows)
    return _dump(_show_message(message, show_id("conv", key), calls))


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
    found = result.mappings().all()
    if not found:
        return None
    messages = [row for row in found if row["id"] is not None]
    calls: dict[UUID, list[Any]] = {}
    of_these = _t.message_id.in_([row["id"] for row in messages[:limit]])
    result = await connection.execute(
        select(*_CALL_COLUMNS).where(of_these, _t.deleted_at.is_(None)).order_by(_t.index)
    )
    for call in result.mappings():
        calls.setdefault(call["message_id"], []).append(call)
    shown = show_id("conv", key)
    data = [_show_message(row, shown, calls.get(row["id"], ())) for row in messages[:limit]]
    return _dump({"data": data, "has_more": len(messages) > limit, "next_cursor": None})


async def list_conversations(connection: AsyncConnection, limit: int) -> bytes:
    result = await connection.execute(
        select(*_CONVERSATION_COLUMNS)
        .where(_IS_KEPT)
        .order_by(_c.last_activity_at.desc(), _c.id.desc())
        .limit(limit + 1)
    )
    rows = result.mappings().all()
    cursor = None
    if len(rows) > limit:
        cursor = encode_cursor(rows[limit - 1]["last_activity_at"], rows[limit - 1]["id"])
    data = [_show_conversation(row) for row in rows[:limit]]
    return _dump({"data": data, "has_more": len(rows) > limit, "next_cursor": cursor})


def _dump(content: Any) -> bytes:
    return orjson.dumps(content, option=orjson.OPT_UTC_Z)


def _show_message(row: Any, conversation: str, calls: Sequence[Any]) -> dict[str, Any]:
    content, cost = row.get("content"), row.get("cost")
    usage = {kind: row.get(kind) for kind in _TOKEN_KINDS}
    return {
        **{name: row.get(name) for name in _AS_THEY_ARE},
        "id": show_id("msg", row["id"]),
        "conversation_id": conversation,
        "content": row["text"] if content is None else content,
        "usage": usage if any(count is not None for count in usage.values()) else None,
        "cost": cost and format(cost.normalize(), "f"),
        "tool_calls": [_show_call(call) for call in calls],
    }


def _show_call(row: Any) -> dict[str, Any]:
    output = row.get("output_message_id")
    return {
        **{name: row.get(name) for name in _CALL_AS_IT_IS},
        "id": show_id("call", row["id"]),
        "output_message_id": show_id("msg", output) if output else None,
    }


def _show_conversation(row: Any) -> dict[str, Any]:
    return {
        **{name: row[name] for name in _CONVERSATION_AS_IT_IS},
        "id": show_id("conv", row["id"]),
        "parent_id": show_id("conv", row["parent_id"]) if row["parent_id"] else None,
        "expires_at": row["retain_until"],
        "unread_count": max(row["last_seq"] - row["read_seq"], 0),
        "usage": {kind: row[kind] for kind in _TOKEN_KINDS},
        "cost": format(row["cost"].normalize(), "f"),
    }
