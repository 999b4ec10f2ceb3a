"""What a message's content is made of, whichever wire brought it.

Contents are kept as they came. Each format renders text, images and files; what is none of them is
shown to the model as the JSON that it is, unless it is so long that it must be something else, such
as sound: that is only mentioned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

_LONGEST_JSON = 2_000
# Parts that the OpenAI wire keeps as JSON where the log has no place for them, as with bytes.
_OF_THE_WIRE = ("input_image", "input_file", "input_audio")


@dataclass(frozen=True)
class TextPart:
    text: str


@dataclass(frozen=True)
class ImagePart:
    """url: of the web, or a `data:` URL. detail: how closely a model should look at it."""

    url: str
    detail: str | None

    @property
    def mention(self) -> str:
        return _mention("image", self.url)


@dataclass(frozen=True)
class FilePart:
    url: str
    name: str | None
    media_type: str | None

    @property
    def is_pdf(self) -> bool:
        if self.media_type is not None:
            return self.media_type == "application/pdf"
        path = self.url.partition("?")[0].lower()
        return path.endswith(".pdf") or path.startswith("data:application/pdf;")

    @property
    def mention(self) -> str:
        return _mention("file", self.name, self.url)


Part = TextPart | ImagePart | FilePart


def read_parts(content: str | list[Any] | None) -> list[Part]:
    """The parts of a content, without texts that have none."""
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    parts = [_read_part(part) for part in content]
    return [part for part in parts if not isinstance(part, TextPart) or part.text]


def as_text(parts: Sequence[Part]) -> str:
    """For where only text may stand: whatever else there is, is mentioned."""
    return "\n".join(part.text if isinstance(part, TextPart) else part.mention for part in parts)


def _read_part(part: Any) -> Part:
    if isinstance(part, str):
        return TextPart(part)
    if not isinstance(part, dict):
        return TextPart(_dump(part))
    kind = part.get("type")
    text = _first(part, "text", "refusal")
    if text is not None:
        return TextPart(text)
    url = _find_url(part)
    if kind in ("image", "image_url", "input_image"):
        if url:
            return ImagePart(url, _find_detail(part))
        return TextPart(_mention("image", _find_id(part)))
    if kind in ("file", "input_file"):
        name = _first(part, "name", "filename")
        if url:
            return FilePart(url, name, _first(part, "media_type"))
        return TextPart(_mention("file", name, _find_id(part)))
    if kind == "json" and "value" in part:
        value = part["value"]
        if isinstance(value, dict) and value.get("type") in _OF_THE_WIRE:
            return _read_part(value)
        return TextPart(_dump(value))
    whole = _dump(part)
    return TextPart(whole if len(whole) <= _LONGEST_JSON else _mention(str(kind or "part")))


def _find_url(part: dict[str, Any]) -> str | None:
    nested = part.get("image_url")
    if isinstance(nested, dict):
        return _first(nested, "url")
    data = _first(part, "file_data")
    url = _first(part, "url", "image_url", "file_url")
    return data if url is None and data is not None and data.startswith("data:") else url


def _find_detail(part: dict[str, Any]) -> str | None:
    nested = part.get("image_url")
    return _first(nested if isinstance(nested, dict) else part, "detail")


def _find_id(part: dict[str, Any]) -> str | None:
    return _first(part, "attachment_id", "file_id")


def _first(part: dict[str, Any], *names: str) -> str | None:
    return next((part[name] for name in names if isinstance(part.get(name), str)), None)


def _mention(kind: str, *details: str | None) -> str:
    """Says what the model can't see. A `data:` URL is the thing itself, and no name for it."""
    named = [each for each in details if each and not each.startswith("data:")]
    return f"[{' '.join([kind, *named])}]"


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()
