"""The messages of OpenAI's Chat Completions API, which many other servers speak, too.

Source: the types `ChatCompletion…MessageParam` of the official SDK.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from conversations import schemas
from conversations.service.formats.names import fit_call_id, fit_name
from conversations.service.formats.parts import (
    FilePart,
    ImagePart,
    Part,
    TextPart,
    as_text,
    read_parts,
)


def render_chat(messages: Sequence[schemas.Message]) -> list[dict[str, Any]]:
    """messages: valid as a history."""
    rendered = [_render(message) for message in messages]
    return [message for message in rendered if message is not None]


def _render(message: schemas.Message) -> dict[str, Any] | None:
    """None for a message without anything in it."""
    parts = read_parts(message["content"])
    if message["role"] == "tool":
        call_id = _call_id(message["call_id"] or "")
        return {"role": "tool", "tool_call_id": call_id, "content": as_text(parts)}
    if message["role"] == "assistant":
        return _render_assistant(message, as_text(parts))
    if not parts:
        return None
    is_text = message["role"] != "user" or all(isinstance(part, TextPart) for part in parts)
    content = as_text(parts) if is_text else [_render_part(part) for part in parts]
    return {"role": message["role"], "content": content}


def _render_assistant(message: schemas.Message, text: str) -> dict[str, Any] | None:
    calls = [
        {
            "id": _call_id(call["call_id"]),
            "type": "function",
            "function": {
                "name": fit_name(call["name"], longest=64),
                "arguments": orjson.dumps(call["arguments"]).decode(),
            },
        }
        for call in message["tool_calls"]
    ]
    if calls:
        return {"role": "assistant", "content": text or None, "tool_calls": calls}
    return {"role": "assistant", "content": text} if text else None


def _render_part(part: Part) -> dict[str, Any]:
    if isinstance(part, ImagePart):
        detail = {"detail": part.detail} if part.detail else {}
        return {"type": "image_url", "image_url": {"url": part.url} | detail}
    if isinstance(part, FilePart) and part.url.startswith("data:"):
        return {"type": "file", "file": {"file_data": part.url, "filename": part.name or "file"}}
    # A file elsewhere can't be named there; it would have to be sent along.
    return {"type": "text", "text": as_text([part])}


def _call_id(call_id: str) -> str:
    return fit_call_id(call_id, longest=40, any_character=True)
