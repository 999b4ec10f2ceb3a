"""ChatGPT's data export: `conversations.json`, an array of conversations.

Each holds a tree of messages, `mapping`, with all that was edited or tried again; what its user
last saw is the path from the root to `current_node`. The format isn't documented; this follows
files as they come: `author.role`, `content.content_type` and `content.parts`, times in seconds.
"""

from datetime import UTC, datetime
from typing import Any

from conversations.service.imports.drafts import Draft, DraftMessage, Refused, message_row
from conversations.service.imports.framing import Item
from tenants.errors import ApplicationError
from tenants.strict_json import parse_json

_ROLES = ("system", "user", "assistant", "tool")
_TITLE_CHARACTERS = 500
_ID_CHARACTERS = 255
# Times outside of these are no times of messages.
_FIRST, _LAST = 0, 4_102_444_800


def read(item: Item) -> Draft:
    """Raises Refused."""
    source = item.document
    if not isinstance(source, dict) or not isinstance(source.get("mapping"), dict):
        raise Refused("a conversation is an object with a mapping")
    name = source.get("conversation_id") or source.get("id")
    if not _is_id(name):
        raise Refused("a conversation has a conversation_id")
    nodes = _path(source["mapping"], source.get("current_node"))
    created_at = _moment(source.get("create_time")) or datetime.now(UTC)
    updated_at = max(created_at, _moment(source.get("update_time")) or created_at)
    messages = _messages(item.line, nodes, created_at)
    if not messages:
        raise Refused("the conversation has no messages")
    title = source.get("title")
    return Draft(
        item.line,
        f"chatgpt:{name}",
        {
            "title": title[:_TITLE_CHARACTERS] if isinstance(title, str) else None,
            "status": "archived" if source.get("is_archived") is True else "active",
            "metadata": {"chatgpt_id": name},
            "created_at": created_at,
            "updated_at": updated_at,
            "last_activity_at": created_at,
        },
        read_seq=len(messages),
        messages=messages,
    )


def _path(mapping: dict[str, Any], current: Any) -> list[dict[str, Any]]:
    """The messages from the root to the current node. Raises Refused if that leads nowhere."""
    path, seen = [], set()
    while current is not None:
        node = mapping.get(current) if isinstance(current, str) else None
        if not isinstance(node, dict) or current in seen:
            raise Refused("the path from current_node to the root is broken")
        seen.add(current)
        if isinstance(node.get("message"), dict):
            path.append({"id": current, **node["message"]})
        current = node.get("parent")
    if not seen:
        raise Refused("there is no current_node")
    return path[::-1]


def _messages(line: int, nodes: list[dict[str, Any]], moment: datetime) -> list[DraftMessage]:
    """Those that say something, in order, with tools' outputs paired to what called them."""
    messages: list[DraftMessage] = []
    waiting: dict[str, str] = {}  # Calls of the turn that are open, by the tool's name.
    for node in nodes:
        author = node.get("author")
        author = author if isinstance(author, dict) else {}
        role = author.get("role")
        if role not in _ROLES or not _is_id(node["id"]):
            raise Refused("a message has an id, and an author whose role is known")
        content = _content(node.get("content"))
        if content is None:
            continue
        moment = _moment(node.get("create_time")) or moment
        metadata = node.get("metadata")
        model = metadata.get("model_slug") if isinstance(metadata, dict) else None
        row = message_row(
            role,
            content,
            moment,
            status="incomplete" if node.get("status") == "in_progress" else "completed",
            model=model[:_ID_CHARACTERS] if isinstance(model, str) else None,
            external_id=node["id"],
        )
        calls = []
        if role == "tool":
            row |= _answer(author, waiting)
        elif role == "assistant" and (tool := _called(node)):
            waiting[tool] = node["id"]
            calls = [{"call_id": node["id"], "name": tool, "arguments": _arguments(row["text"])}]
        elif role != "assistant":
            waiting.clear()
        messages.append(DraftMessage(line, len(messages) + 1, node["id"], row, calls))
    return messages


def _called(node: dict[str, Any]) -> str | None:
    """The tool that a message is for, and not the user."""
    recipient = node.get("recipient")
    return (
        recipient
        if isinstance(recipient, str) and _is_id(recipient) and recipient != "all"
        else None
    )


def _answer(author: dict[str, Any], waiting: dict[str, str]) -> dict[str, Any]:
    """What makes a tool's message the output of a call.

    A tool may speak without having been called, and more than once; what nobody waits for is kept
    as a message of the system's, in its place.
    """
    name = author.get("name")
    call_id = waiting.pop(name, None) if isinstance(name, str) else None
    if call_id is None:
        return {"role": "system", "extra": {"chatgpt": {"author": author}}}
    return {"call_id": call_id}


def _arguments(text: str | None) -> dict[str, Any]:
    """What a tool was called with: an object, or a text, such as a program."""
    try:
        parsed = parse_json((text or "").encode())
    except ApplicationError:
        return {"input": text}
    return parsed if isinstance(parsed, dict) else {"input": text}


def _content(content: Any) -> str | list[dict[str, Any]] | None:
    """Text, or parts where there is more than text; None if there is nothing."""
    if not isinstance(content, dict):
        return None
    parts = content.get("parts")
    if isinstance(parts, list):
        if all(isinstance(part, str) for part in parts):
            return "\n".join(part for part in parts if part) or None
        return [_part(part) for part in parts if part not in ("", None)] or None
    for name in ("text", "result", "content"):
        if isinstance(content.get(name), str):
            return content[name] or None
    said = {name: value for name, value in content.items() if name != "content_type"}
    return [{"type": "json", "value": content}] if any(said.values()) else None


def _part(part: Any) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "json", "value": part}


def _moment(seconds: Any) -> datetime | None:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not _FIRST <= seconds <= _LAST:
        return None
    return datetime.fromtimestamp(seconds, UTC)


def _is_id(value: Any) -> bool:
    """Whether it can stand for a call, too, and in a path."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _ID_CHARACTERS
        and value.isascii()
        and value.isprintable()
        and not {" ", "/"} & set(value)
    )
