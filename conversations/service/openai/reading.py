"""From the log's rows to items."""

import re
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import orjson

from conversations.service.keys import given_call_id
from conversations.service.openai.content import join_content

_OWN_ID = re.compile(r"[a-z]+_([0-9a-f]{32})")
# What the ids that we make begin with, by the type of the item.
_PREFIXES = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "reasoning": "rs",
    "file_search_call": "fs",
    "web_search_call": "ws",
    "image_generation_call": "ig",
    "computer_call": "cu",
    "computer_call_output": "cuo",
    "code_interpreter_call": "ci",
    "compaction": "cmp",
    "local_shell_call": "lsh",
    "local_shell_call_output": "lsho",
    "shell_call": "sh",
    "shell_call_output": "sho",
    "apply_patch_call": "apc",
    "apply_patch_call_output": "apco",
    "mcp_list_tools": "mcpl",
    "mcp_approval_request": "mcpr",
    "mcp_approval_response": "mcpa",
    "mcp_call": "mcp",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
    "tool_search_call": "tsc",
    "tool_search_output": "tso",
}
# Types that always have a status where they are read, and needn't where they are written.
_WITH_STATUS = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "computer_call_output",
        "tool_search_call",
        "tool_search_output",
        "shell_call",
        "shell_call_output",
    }
)


def read_items(row: Any) -> list[tuple[int, dict[str, Any]]]:
    """The items of a message's row with their indexes in it: its content is 0, calls follow."""
    extra = row["extra"] or {}
    if row["kind"] != "message":
        return [(0, _item(row, row["kind"], extra))]
    items = []
    if row["text"] is not None or row["content"] is not None:
        items.append((0, _output(row, extra) if row["call_id"] is not None else _say(row, extra)))
    for call in row["calls"]:
        items.append((call["index"] + 1, _call(call)))
    return items


def flatten(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """The items of rows that stand in ascending order."""
    return [item for row in rows for _, item in read_items(row)]


def find_key(item_id: str) -> UUID | None:
    """The key of the row or of the call whose id may be this, if we made it."""
    match = _OWN_ID.fullmatch(item_id)
    return UUID(hex=match[1]) if match else None


def _say(row: Any, extra: dict[str, Any]) -> dict[str, Any]:
    parts = join_content(row["text"], row["content"], extra.get("content"), row["role"])
    return _item(row, "message", {"role": row["role"], **extra, "content": parts})


def _output(row: Any, extra: dict[str, Any]) -> dict[str, Any]:
    output: Any = row["text"]
    if row["content"] is not None or "output" in extra:
        output = join_content(row["text"], row["content"], extra.get("output"), row["role"])
    content = {"call_id": given_call_id(row["call_id"]), **extra, "output": output}
    return _item(row, "function_call_output", content)


def _call(call: dict[str, Any]) -> dict[str, Any]:
    extra = call["extra"] or {}
    content = {
        "call_id": call["call_id"],
        "name": call["name"],
        "arguments": orjson.dumps(call["arguments"]).decode(),
        # It has the arguments to the byte, where the wire has sent them; else it is our own note.
        **(extra if "arguments" in extra else {}),
    }
    return _item(call, "function_call", content)


def _item(row: Any, kind: str, content: dict[str, Any]) -> dict[str, Any]:
    item_id = row["external_id"]
    if item_id is None:
        item_id = f"{_PREFIXES.get(kind, 'item')}_{row['id'].hex}"
    item = {"id": item_id, "type": kind, **content}
    if item.get("status") is None and kind in _WITH_STATUS:
        item["status"] = "completed"
    return item
