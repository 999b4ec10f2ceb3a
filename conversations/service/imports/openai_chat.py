"""OpenAI's chat format: each line a conversation, `{"messages": [{"role": …, "content": …}, …]}`.

Source: OpenAI's API reference, "Create chat completion", `messages`; and its guide to fine-tuning.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from conversations.schemas import CallId, ForeignId, Metadata
from conversations.service.imports.drafts import Draft, DraftMessage, Refused, message_row
from conversations.service.imports.framing import Item
from tenants.errors import ApplicationError
from tenants.strict_json import parse_json

ROLES = ("system", "developer", "user", "assistant", "tool")
# What has a place of its own; whatever else a message says is kept with it.
_PLACED = {"role", "content", "tool_calls", "tool_call_id", "id"}
_CALL_ID: TypeAdapter[str] = TypeAdapter(CallId)
_FOREIGN_ID: TypeAdapter[str] = TypeAdapter(ForeignId)
_METADATA: TypeAdapter[dict[str, Any]] = TypeAdapter(Metadata)


def read(item: Item) -> Draft:
    """Named by its `id`, or else by all that it says. Raises Refused."""
    line = _object(item.document, "a line")
    messages = line.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("messages: a list with at least one message")
    now = datetime.now(UTC)
    model = _text(line.get("model"), "model")
    return Draft(
        item.line,
        f"openai-chat:{_name(line)}",
        {
            "user_id": _foreign_id(line.get("user"), "user"),
            "metadata": _checked(_METADATA, line.get("metadata") or {}, "metadata"),
            **dict.fromkeys(("created_at", "updated_at", "last_activity_at"), now),
        },
        read_seq=len(messages),
        messages=[
            _message(item.line, seq, _object(message, f"message {seq}"), model)
            for seq, message in enumerate(messages, start=1)
        ],
    )


def _name(line: dict[str, Any]) -> str:
    if isinstance(line.get("id"), str):
        return f"id:{_foreign_id(line['id'], 'id')}"
    text = orjson.dumps(line, option=orjson.OPT_SORT_KEYS)
    return f"sha256:{hashlib.sha256(text).hexdigest()}"


def _message(line: int, seq: int, message: dict[str, Any], model: str | None) -> DraftMessage:
    place = f"message {seq}"
    role = message.get("role")
    if role not in ROLES:
        raise Refused(f"{place}: role is one of {', '.join(ROLES)}")
    calls = _calls(message.get("tool_calls"), place)
    if calls and role != "assistant":
        raise Refused(f"{place}: only an assistant's message has tool_calls")
    content = _content(message.get("content"), place)
    if content is None and isinstance(message.get("refusal"), str):
        content = message["refusal"]
    if content is None and not calls:
        raise Refused(f"{place}: has neither content nor tool_calls")
    call_id = None
    if role == "tool":
        call_id = _checked(_CALL_ID, message.get("tool_call_id"), f"{place}: tool_call_id")
    others = {name: value for name, value in message.items() if name not in _PLACED}
    row = message_row(
        role,
        content,
        None,
        call_id=call_id,
        model=model if role == "assistant" else None,
        external_id=_foreign_id(message.get("id"), f"{place}: id"),
        extra={"openai-chat": others} if others else None,
    )
    return DraftMessage(line, seq, str(seq), row, calls)


def _calls(calls: Any, place: str) -> list[dict[str, Any]]:
    if calls is None:
        return []
    if not isinstance(calls, list):
        raise Refused(f"{place}: tool_calls is a list")
    return [_call(_object(call, f"{place}: a tool call"), place) for call in calls]


def _call(call: dict[str, Any], place: str) -> dict[str, Any]:
    function = _object(call.get("function"), f"{place}: function")
    name = _foreign_id(function.get("name"), f"{place}: name")
    if name is None:
        raise Refused(f"{place}: a tool call has a name")
    arguments = function.get("arguments")
    parsed = _arguments(arguments)
    return {
        "call_id": _checked(_CALL_ID, call.get("id"), f"{place}: id of a tool call"),
        "name": name,
        "arguments": parsed or {},
        "extra": None if parsed is not None else {"openai-chat": {"arguments": arguments}},
    }


def _arguments(arguments: Any) -> dict[str, Any] | None:
    """The object in a text of JSON; None for what a model wrote that is none."""
    if not isinstance(arguments, str):
        return arguments if isinstance(arguments, dict) else None
    try:
        parsed = parse_json(arguments.encode())
    except ApplicationError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _content(content: Any, place: str) -> str | list[dict[str, Any]] | None:
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise Refused(f"{place}: content is a text, or a list of parts")
    return [_part(_object(part, f"{place}: a part")) for part in content]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """A part in our own words; one that has none is kept as JSON."""
    if part.get("type") == "text" and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else None
    if part.get("type") == "image_url" and str(url).startswith(("https://", "http://")):
        return {"type": "image", "url": url}
    return {"type": "json", "value": part}


def _object(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Refused(f"{place} is an object")
    return value


def _text(value: Any, place: str) -> str | None:
    if value is not None and not (isinstance(value, str) and len(value) <= 255):
        raise Refused(f"{place}: a text of up to 255 characters")
    return value


def _foreign_id(value: Any, place: str) -> str | None:
    return None if value is None else _checked(_FOREIGN_ID, value, place)


def _checked(kind: TypeAdapter[Any], value: Any, place: str) -> Any:
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError as error:
        raise Refused(f"{place}: {error.errors(include_url=False)[0]['msg']}") from error
