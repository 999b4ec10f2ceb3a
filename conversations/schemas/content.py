"""What a message's content is made of: text, or typed parts."""

from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from conversations.schemas.base import ATTACHMENT_PREFIX, Input, MessageText, settings


def _is_modest(value: Any) -> Any:
    if len(orjson.dumps(value)) > settings.max_part_json_bytes:
        raise ValueError(f"may have {settings.max_part_json_bytes} bytes as JSON")
    return value


# Nothing is fetched, so nothing more is asked of it than that it can be a link.
Url = Annotated[
    str,
    Field(
        pattern=r"^(?i:https?)://[^\s/?#\x00-\x1f\x7f][^\s\x00-\x1f\x7f]*$",
        max_length=settings.max_url_characters,
        examples=["https://example.com/oslo.png"],
    ),
]
AttachmentId = Annotated[
    str,
    Field(
        pattern=f"^{ATTACHMENT_PREFIX}_[0-9a-f]{{32}}$",
        examples=[f"{ATTACHMENT_PREFIX}_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"],
    ),
]


class TextPart(Input):
    type: Literal["text"]
    text: MessageText


class _Referring(Input):
    """What stands elsewhere: at a URL, or among the attachments."""

    url: Url | None = None
    attachment_id: AttachmentId | None = None

    @model_validator(mode="after")
    def _is_in_one_place(self) -> "_Referring":
        if (self.url is None) == (self.attachment_id is None):
            raise ValueError("give either url or attachment_id")
        return self


class ImagePart(_Referring):
    """detail: how closely a model should look at it."""

    type: Literal["image"]
    detail: Literal["auto", "low", "high"] | None = None


class FilePart(_Referring):
    type: Literal["file"]
    name: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    media_type: (
        Annotated[
            str,
            Field(
                pattern=r"^[!-.0-~]{1,127}/[ -~]{1,127}$",
                examples=["application/pdf"],
            ),
        ]
        | None
    ) = None


class JsonPart(Input):
    """value: any JSON."""

    type: Literal["json"]
    value: Annotated[Any, AfterValidator(_is_modest)]


def _part_tag(part: object) -> str | None:
    kind = part.get("type") if isinstance(part, dict) else getattr(part, "type", None)
    return f"<{kind}>" if kind in ("text", "image", "file", "json") else None


def _content_tag(content: object) -> str:
    return "<parts>" if isinstance(content, list) else "<text>"


Part = Annotated[
    Annotated[TextPart, Tag("<text>")]
    | Annotated[ImagePart, Tag("<image>")]
    | Annotated[FilePart, Tag("<file>")]
    | Annotated[JsonPart, Tag("<json>")],
    Discriminator(
        _part_tag,
        custom_error_type="unknown_part",
        custom_error_message="A part is an object whose type is text, image, file or json",
    ),
]
Parts = Annotated[list[Part], Field(min_length=1, max_length=settings.max_content_parts)]
Content = Annotated[
    Annotated[MessageText, Tag("<text>")] | Annotated[Parts, Tag("<parts>")],
    Discriminator(_content_tag),
]
