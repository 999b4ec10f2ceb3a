"""The bare peer's list of conversations, and its search: the service's statement, compiled once."""

from secrets import token_hex
from typing import Any
from urllib.parse import parse_qs

import asyncpg
import orjson

from benchmarks.peers.cursor import encode_cursor
from benchmarks.peers.statements import LIST
from conversations.statements import search_statement
from tenants.ids import show_id

_TOKEN_KINDS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")


async def list_conversations(connection: asyncpg.Connection, query: bytes) -> tuple[int, bytes]:
    limit = int(query.removeprefix(b"limit=") or 20)
    rows = await connection.fetch(LIST, limit + 1)
    positions = [(row["last_activity_at"], row["id"]) for row in rows]
    return _show_page([_show_conversation(row) for row in rows], positions, limit)


async def search(connection: asyncpg.Connection, query: bytes) -> tuple[int, bytes]:
    given = parse_qs(query.decode())
    limit = int(given["limit"][0])
    start, stop = token_hex(16), token_hex(16)
    marks = f"MaxWords=32, MinWords=12, StartSel={start}, StopSel={stop}"
    statement = search_statement(frozenset(), goes_on=False)
    values = {"q": given["q"][0], "marks": marks, "limit": limit + 1}
    rows = await connection.fetch(statement.sql, *statement.arguments(values))
    hits = [
        {
            "conversation_id": show_id("conv", row["conversation_id"]),
            "title": row["title"],
            "message_id": show_id("msg", row["message_id"]) if row["message_id"] else None,
            "seq": row["seq"],
            "role": row["role"],
            "snippet": _split(row["snippet"], start, stop),
            "rank": row["rank"],
        }
        for row in rows
    ]
    return _show_page(hits, [(row["rank"], row["id"]) for row in rows], limit)


def _show_page(items: list[Any], positions: list[Any], limit: int) -> tuple[int, bytes]:
    cursor = None
    if len(items) > limit:
        cursor = encode_cursor(*positions[limit - 1])
    page = {"data": items[:limit], "has_more": len(items) > limit, "next_cursor": cursor}
    return 200, orjson.dumps(page, option=orjson.OPT_UTC_Z)


def _split(marked: str, start: str, stop: str) -> list[dict[str, Any]]:
    before, *rest = marked.split(start)
    parts = [{"text": before, "highlighted": False}]
    for part in rest:
        word, _, after = part.partition(stop)
        parts += [{"text": word, "highlighted": True}, {"text": after, "highlighted": False}]
    return [part for part in parts if part["text"]]


def _show_conversation(row: Any) -> dict[str, Any]:
    return {
        "id": show_id("conv", row["id"]),
        "user_id": row["user_id"],
        "agent_id": row["agent_id"],
        "title": row["title"],
        "language": row["language"],
        "status": row["status"],
        "metadata": orjson.Fragment(row["metadata"]),
        "expires_at": row["retain_until"],
        "legal_hold": row["legal_hold"],
        "parent_id": show_id("conv", row["parent_id"]) if row["parent_id"] else None,
        "fork_seq": row["fork_seq"],
        "preview": row["preview"],
        "last_seq": row["last_seq"],
        "read_seq": row["read_seq"],
        "unread_count": max(row["last_seq"] - row["read_seq"], 0),
        "version": row["version"],
        "message_count": row["message_count"],
        "tool_call_count": row["tool_call_count"],
        "token_count": row["token_count"],
        "usage": {kind: row[kind] for kind in _TOKEN_KINDS},
        "cost": format(row["cost"].normalize(), "f"),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "last_activity_at": row["last_activity_at"],
    }
