"""Content between the wire's parts and the log's, and back without loss.

A part of the wire becomes one of the log's (text, image, file, or JSON for what is none of them),
and a rest: what the log's has no place for. Both together give back the part as it came.
"""

import re
from typing import Any

import orjson

from conversations.models import ROLES

_URL = re.compile(r"(?i:https?)://[^\s/?#\x00-\x1f\x7f][^\s\x00-\x1f\x7f]{0,1990}")
_DETAILS = frozenset({"auto", "low", "high"})
# By type of a part: the log's type, and where its substance stands there and here.
_PLACES = {
    "input_text": ("text", "text", "text"),
    "output_text": ("text", "text", "text"),
    "text": ("text", "text", "text"),
    "summary_text": ("text", "text", "text"),
    "reasoning_text": ("text", "text", "text"),
    "refusal": ("text", "text", "refusal"),
    "input_image": ("image", "url", "image_url"),
    "input_file": ("file", "url", "file_url"),
}
# Speaks of itself in `output_text`; everybody else in `input_text`.
_SPEAKER = ROLES[3]


def split_content(content: str | list[Any]) -> tuple[str | None, list[Any] | None, Any]:
    """The log's text and parts, and the rests of the parts; None for those of a plain text.

    A single part of text is kept as plain text.
    """
    if isinstance(content, str):
        return content, None, None
    pairs = [_split(part) for part in content]
    parts, rests = [part for part, _ in pairs], [rest for _, rest in pairs]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    if not parts or (len(texts) == len(parts) == 1):
        return "".join(texts), None, rests
    return "\n".join(texts) if texts else None, parts, rests


def join_content(
    text: str | None, content: list[Any] | None, rests: list[Any] | None, role: str
) -> list[dict[str, Any]]:
    """The wire's parts. rests: as `split_content` gave them, None for what wasn't the wire's."""
    if rests == []:
        return []
    parts = content if content is not None else [{"type": "text", "text": text}]
    if rests is None or len(rests) != len(parts):
        return [_show(part, role) for part in parts]
    return [_join(part, rest, role) for part, rest in zip(parts, rests, strict=True)]


def _split(part: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any] | None]:
    kind, name, place = _PLACES.get(part["type"], ("json", "value", ""))
    value = part.get(place)
    if not isinstance(value, str) or (name == "url" and not _URL.fullmatch(value)):
        return {"type": "json", "value": part}, None
    kept = {"type": kind, name: value}
    if kind == "image" and part.get("detail") in _DETAILS:
        kept["detail"] = part["detail"]
    return kept, {key: each for key, each in part.items() if key != place}


def _join(part: dict[str, Any], rest: dict[str, Any] | None, role: str) -> dict[str, Any]:
    if rest is None and isinstance(part.get("value"), dict):
        return dict(part["value"])
    kind, name, place = _PLACES.get(rest["type"] if rest else "", ("", "", ""))
    if rest is None or part["type"] != kind:  # It was changed since, natively.
        return _show(part, role)
    return {**rest, place: part[name]}


def _show(part: dict[str, Any], role: str) -> dict[str, Any]:
    """One of the log's own parts."""
    if part["type"] == "image":
        source = {"image_url": part["url"]} if "url" in part else {"file_id": part["attachment_id"]}
        return {"type": "input_image", "detail": part.get("detail", "auto"), **source}
    if part["type"] == "file":
        source = {"file_url": part["url"]} if "url" in part else {"file_id": part["attachment_id"]}
        return {"type": "input_file", **source} | (
            {"filename": part["name"]} if "name" in part else {}
        )
    text = part["text"] if part["type"] == "text" else orjson.dumps(part.get("value")).decode()
    if role == _SPEAKER:
        return {"type": "output_text", "text": text, "annotations": []}
    return {"type": "input_text", "text": text}
