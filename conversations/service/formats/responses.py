"""The input items of OpenAI's Responses API.

Source: the types `EasyInputMessageParam`, `ResponseFunctionToolCallParam`, `FunctionCallOutput`
and `ResponseInput…Param` of the official SDK.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from conversations import schemas
from conversations.service.formats.names import fit_call_id, fit_name
from conversations.service.formats.parts import FilePart, ImagePart, Part, as_text, read_parts


def render_responses(messages: Sequence[schemas.Message]) -> list[dict[str, Any]]:
    """messages: valid as a history."""
    return [item for message in messages for item in _render(message)]


def _render(message: schemas.Message) -> Iterator[dict[str, Any]]:
    parts = read_parts(message["content"])
    if message["role"] == "tool":
        call_id = _call_id(message["call_id"] or "")
        yield {"type": "function_call_output", "call_id": call_id, "output": _content(parts)}
        return
    if parts:
        # An assistant's parts are of other types than what comes in, and are all text.
        is_input = message["role"] != "assistant"
        content = _content(parts) if is_input else as_text(parts)
        yield {"type": "message", "role": message["role"], "content": content}
    for call in message["tool_calls"]:
        yield {
            "type": "function_call",
            "call_id": _call_id(call["call_id"]),
            "name": fit_name(call["name"], longest=64),
            "arguments": orjson.dumps(call["arguments"]).decode(),
        }


def _content(parts: Sequence[Part]) -> str | list[dict[str, Any]]:
    """One string, unless there is more than text."""
    if not any(isinstance(part, ImagePart | FilePart) for part in parts):
        return as_text(parts)
    return [_render_part(part) for part in parts]


def _render_part(part: Part) -> dict[str, Any]:
    if isinstance(part, ImagePart):
        return {"type": "input_image", "image_url": part.url, "detail": part.detail or "auto"}
    if isinstance(part, FilePart):
        if part.url.startswith("data:"):
            return {"type": "input_file", "file_data": part.url, "filename": part.name or "file"}
        return {"type": "input_file", "file_url": part.url}
    return {"type": "input_text", "text": part.text}


def _call_id(call_id: str) -> str:
    return fit_call_id(call_id, longest=64, any_character=True)
