"""The messages and the system text of Anthropic's Messages API.

What it asks for, and refuses with 400 otherwise: the first turn is the user's; a turn that calls
tools ends with these calls, and the next one begins with all of their results; no text is blank,
and the last turn, if it is the assistant's, doesn't end with a space.
Source: the types `MessageParam`, `…BlockParam` of the official SDK, and its comments.
"""

from collections.abc import Container, Sequence
from typing import Any

from conversations import schemas
from conversations.service.formats.names import fit_call_id, fit_name
from conversations.service.formats.parts import (
    ImagePart,
    Part,
    TextPart,
    as_text,
    read_parts,
)

# Stands for the user's turn before an assistant's that would be the first.
OPENING = "[…]"

_FAILED = ("failed", "denied", "cancelled", "expired")

Block = dict[str, Any]


def render_anthropic(messages: Sequence[schemas.Message]) -> tuple[list[Block], list[Block]]:
    """The turns and the system's blocks. messages: valid as a history."""
    turns: list[Block] = []
    system: list[Block] = []
    failed = {
        call["call_id"]
        for message in messages
        for call in message["tool_calls"]
        if call["status"] in _FAILED
    }
    for message in messages:
        if message["role"] in ("system", "developer"):
            system += _text(as_text(read_parts(message["content"])))
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        blocks = _render(message, failed)
        if blocks and turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    if turns and turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": _text(OPENING)})
    if turns and turns[-1]["role"] == "assistant":
        _strip_end(turns[-1]["content"])
    return turns, system


def _render(message: schemas.Message, failed: Container[str]) -> list[Block]:
    parts = read_parts(message["content"])
    if message["role"] == "tool":
        result: Block = {"type": "tool_result", "tool_use_id": _call_id(message["call_id"] or "")}
        if content := [block for part in parts for block in _render_part(part)]:
            result["content"] = content
        return [result | ({"is_error": True} if message["call_id"] in failed else {})]
    if message["role"] == "assistant":
        return _text(as_text(parts)) + [
            {
                "type": "tool_use",
                "id": _call_id(call["call_id"]),
                "name": fit_name(call["name"], longest=128),
                "input": call["arguments"],
            }
            for call in message["tool_calls"]
        ]
    return [block for part in parts for block in _render_part(part)]


def _render_part(part: Part) -> list[Block]:
    if isinstance(part, TextPart):
        return _text(part.text)
    source = _read_source(part.url)
    if source is None:
        return _text(part.mention)
    if isinstance(part, ImagePart):
        return [{"type": "image", "source": source}]
    if not part.is_pdf:
        return _text(part.mention)
    return [{"type": "document", "source": source} | ({"title": part.name} if part.name else {})]


def _read_source(url: str) -> Block | None:
    """Where the bytes are; None for an address that the API can't read."""
    if url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        media_type, _, encoding = head.rpartition(";")
        if encoding != "base64" or not media_type:
            return None
        return {"type": "base64", "media_type": media_type, "data": data}
    return {"type": "url", "url": url} if url.startswith("https://") else None


def _text(text: str) -> list[Block]:
    return [{"type": "text", "text": text}] if text.strip() else []


def _strip_end(blocks: list[Block]) -> None:
    if blocks[-1]["type"] == "text":
        blocks[-1]["text"] = blocks[-1]["text"].rstrip()


def _call_id(call_id: str) -> str:
    return fit_call_id(call_id, longest=64, any_character=False)
