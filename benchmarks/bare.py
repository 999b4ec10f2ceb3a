"""The limit: a bare ASGI function on asyncpg that does the same job with nothing around it.

It looks the API key's hash up in a dictionary, trusts its input, and works in three round trips:
BEGIN with role and path as one message, one statement, COMMIT. Statements stay prepared on ten
connections, taken last in, first out.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from benchmarks.stage import POOL_SIZE, Stage
from tenants.ids import find_id, new_id, show_id

_stage = Stage.from_environment()
_SCOPE = f'SET LOCAL ROLE "{_stage.schema}"; SET LOCAL search_path TO "{_stage.schema}"'
# What each key may enter, by its hash.
_scopes = {sha256(_stage.api_key.encode()).digest(): _SCOPE}
_pool: asyncio.LifoQueue[asyncpg.Connection] = asyncio.LifoQueue()

_APPEND = """
WITH head AS (
    UPDATE conversations
    SET last_seq = last_seq + 1, version = version + 1, message_count = message_count + 1,
        token_count = token_count + coalesce($7, 0),
        tool_call_count = tool_call_count + json_array_length($8),
        preview = coalesce(left($5, 200), preview),
        last_activity_at = greatest(last_activity_at, $3)
    WHERE id = $1 AND status = 'active' AND deleted_at IS NULL
        AND (retain_until IS NULL OR retain_until > now() OR legal_hold)
    RETURNING last_seq
), message AS (
    INSERT INTO messages (id, conversation_id, seq, role, text, model, token_count, created_at)
    SELECT $2, $1, head.last_seq, $4, $5, $6, $7, $3 FROM head
), calls AS (
    INSERT INTO tool_calls (id, conversation_id, message_id, index, call_id, name, arguments,
                            created_at, updated_at)
    SELECT c.id, $1, $2, c.index, c.call_id, c.name, c.arguments, $3, $3
    FROM head, json_to_recordset($8) AS c (id uuid, index smallint, call_id text, name text,
                                           arguments jsonb)
)
SELECT last_seq FROM head
"""
_PAGE = """
SELECT m.id, m.seq, m.role, m.kind, m.status, m.content, m.text, m.call_id, m.external_id, m.model,
       m.token_count, m.input_tokens, m.output_tokens, m.cached_tokens, m.reasoning_tokens, m.cost,
       m.created_at,
       (SELECT json_agg(json_build_object(
            'id', 'call_' || replace(t.id::text, '-', ''), 'call_id', t.call_id, 'name', t.name,
            'arguments', t.arguments, 'status', t.status, 'error', t.error,
            'attempts', t.attempts, 'deadline', to_char(t.deadline AT TIME ZONE 'UTC', $3),
            'decided_by', t.decided_by,
            'decided_at', to_char(t.decided_at AT TIME ZONE 'UTC', $3), 'reason', t.reason,
            'output_message_id', 'msg_' || replace(t.output_message_id::text, '-', ''),
            'created_at', to_char(t.created_at AT TIME ZONE 'UTC', $3),
            'updated_at', to_char(t.updated_at AT TIME ZONE 'UTC', $3))
            ORDER BY t.index)
        FROM tool_calls t WHERE t.message_id = m.id AND t.deleted_at IS NULL) AS tool_calls
FROM conversations c LEFT JOIN LATERAL (
    SELECT * FROM messages WHERE conversation_id = $1 AND seq > 0 AND deleted_at IS NULL
    ORDER BY seq LIMIT $2
) m ON true
WHERE c.id = $1 AND c.deleted_at IS NULL
    AND (c.retain_until IS NULL OR c.retain_until > now() OR c.legal_hold)
ORDER BY m.seq
"""
_MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
_TOKEN_KINDS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    headers = dict(scope["headers"])
    key = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
    tenant = _scopes.get(sha256(key).digest())
    conversation_id = find_id("conv", scope["path"].split("/")[4])
    if tenant is None or conversation_id is None:
        status, body = 401 if tenant is None else 404, b"{}"
    elif scope["method"] == "POST":
        status, body = await _append(tenant, conversation_id, await _read_body(receive))
    else:
        limit = int(scope["query_string"].removeprefix(b"limit=") or 20)
        status, body = await _read_page(tenant, conversation_id, limit)
    kind = (b"content-type", b"application/json")
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [kind, length]})
    await send({"type": "http.response.body", "body": body})


async def _append(tenant: str, conversation_id: UUID, body: bytes) -> tuple[int, bytes]:
    new, message_id, now = orjson.loads(body), new_id(), datetime.now(UTC)
    calls = [
        {"id": new_id(), "index": index, **call}
        for index, call in enumerate(new.get("tool_calls", ()))
    ]
    async with _transaction(f"BEGIN; {tenant}") as connection:
        seq = await connection.fetchval(
            _APPEND,
            conversation_id,
            message_id,
            now,
            new["role"],
            new.get("content"),
            new.get("model"),
            new.get("token_count"),
            orjson.dumps(calls).decode(),
        )
    if seq is None:
        return 404, b"{}"
    return 201, orjson.dumps(
        {
            "id": show_id("msg", message_id),
            "conversation_id": show_id("conv", conversation_id),
            "seq": seq,
            "role": new["role"],
            "kind": "message",
            "status": "completed",
            "content": new.get("content"),
            "call_id": None,
            "external_id": None,
            "model": new.get("model"),
            "token_count": new.get("token_count"),
            "usage": None,
            "cost": None,
            "tool_calls": [
                {
                    "id": show_id("call", call["id"]),
                    "call_id": call["call_id"],
                    "name": call["name"],
                    "arguments": call["arguments"],
                    "status": "requested",
                    "error": None,
                    "attempts": 0,
                    "deadline": None,
                    "decided_by": None,
                    "decided_at": None,
                    "reason": None,
                    "output_message_id": None,
                    "created_at": now,
                    "updated_at": now,
                }
                for call in calls
            ],
            "created_at": now,
        },
        option=orjson.OPT_UTC_Z,
    )


async def _read_page(tenant: str, conversation_id: UUID, limit: int) -> tuple[int, bytes]:
    async with _transaction(f"BEGIN READ ONLY; {tenant}") as connection:
        rows = await connection.fetch(_PAGE, conversation_id, limit + 1, _MOMENT)
    if not rows:
        return 404, b"{}"
    shown = show_id("conv", conversation_id)
    messages = [
        {
            "id": show_id("msg", row["id"]),
            "conversation_id": shown,
            "seq": row["seq"],
            "role": row["role"],
            "kind": row["kind"],
            "status": row["status"],
            "content": row["text"] if row["content"] is None else orjson.Fragment(row["content"]),
            "call_id": row["call_id"],
            "external_id": row["external_id"],
            "model": row["model"],
            "token_count": row["token_count"],
            "usage": _show_usage(row),
            "cost": row["cost"] and format(row["cost"].normalize(), "f"),
            "tool_calls": orjson.Fragment(row["tool_calls"]) if row["tool_calls"] else [],
            "created_at": row["created_at"],
        }
        for row in rows
        if row["id"] is not None
    ]
    page = {"data": messages[:limit], "has_more": len(messages) > limit, "next_cursor": None}
    return 200, orjson.dumps(page, option=orjson.OPT_UTC_Z)


def _show_usage(row: Any) -> dict[str, int] | None:
    usage = {kind: row[kind] for kind in _TOKEN_KINDS}
    return usage if any(count is not None for count in usage.values()) else None


@asynccontextmanager
async def _transaction(begin: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await _pool.get()
    try:
        await connection.execute(begin)
        try:
            yield connection
        except BaseException:
            await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
    finally:
        _pool.put_nowait(connection)


async def _read_body(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _live(receive: Any, send: Any) -> None:
    await receive()
    for _ in range(POOL_SIZE):
        _pool.put_nowait(await asyncpg.connect(_stage.runtime_url))
    await send({"type": "lifespan.startup.complete"})
    await receive()
    while not _pool.empty():
        await _pool.get_nowait().close()
    await send({"type": "lifespan.shutdown.complete"})
