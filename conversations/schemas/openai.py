"""The shapes of the OpenAI wire.

Items come and go as JSON objects of some thirty types, most of which mean nothing to us: only what
all of them have in common is validated, and what we read of messages.
"""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from conversations.schemas.base import Input, settings
from conversations.schemas.messages import Role

MAX_ITEMS = 20
# The roles that the wire has and the log hasn't, or has for the outputs of tools alone; and which
# of the log's come closest.
FOREIGN_ROLES = {
    "tool": "user",
    "unknown": "user",
    "critic": "assistant",
    "discriminator": "assistant",
}
_ROLES = {*get_args(Role), *FOREIGN_ROLES}
# Whole in a path, like `CallId`.
_ID = re.compile(r"[!-.0-~]{1,255}")
_MESSAGE_EXAMPLE: Any = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "What's the weather in Oslo?"}],
}


def _is_item(item: dict[str, Any]) -> dict[str, Any]:
    kind, item_id = item.get("type"), item.get("id")
    if kind is None and "role" in item:
        kind = "message"
    if not isinstance(kind, str) or not 1 <= len(kind) <= 64:
        raise ValueError("`type` is a text of 1 to 64 characters")
    if item_id is not None and not (isinstance(item_id, str) and _ID.fullmatch(item_id)):
        raise ValueError("`id` is 1 to 255 printable ASCII characters, without space and slash")
    if kind == "message":
        _check_message(item)
    elif kind == "function_call_output":
        _check_length(item.get("output"))
    return item


def _check_message(item: dict[str, Any]) -> None:
    if not isinstance(item.get("role"), str) or item["role"] not in _ROLES:
        raise ValueError(f"`role` is one of {', '.join(sorted(_ROLES))}")
    content = item.get("content")
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    if not isinstance(content, list):
        raise ValueError("`content` is a text or a list of parts")
    for part in content:
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise ValueError("each part of `content` is an object with a `type`")
        _check_length(part.get("refusal" if part["type"] == "refusal" else "text"))


def _check_length(text: Any) -> None:
    if isinstance(text, str) and len(text) > settings.max_text_characters:
        raise ValueError(f"a text may have {settings.max_text_characters} characters")


Item = Annotated[
    dict[str, Any],
    AfterValidator(_is_item),
    Field(json_schema_extra={"examples": [_MESSAGE_EXAMPLE]}),
]
Metadata = Annotated[
    dict[
        Annotated[str, Field(max_length=64)],
        Annotated[str, Field(max_length=512)],
    ],
    Field(max_length=16, examples=[{"topic": "demo"}]),
]


class NewConversation(Input):
    """A conversation, with its first items if there are any."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [_MESSAGE_EXAMPLE], "metadata": {"topic": "demo"}}]
        }
    )

    items: Annotated[list[Item], Field(max_length=MAX_ITEMS)] | None = None
    metadata: Metadata | None = None


class ConversationChanges(Input):
    """metadata: replaces the old one as a whole; null removes it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"metadata": {"topic": "demo"}}]})

    metadata: Metadata | None


class NewItems(Input):
    """Items to append in this order: all of them or none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_MESSAGE_EXAMPLE]}]})

    items: Annotated[list[Item], Field(min_length=1, max_length=MAX_ITEMS)]


class Include(BaseModel):
    """What else to answer. Accepted and without effect: items are given back whole."""

    include: Annotated[list[str], Field(max_length=50)] = Field(default=[], alias="include[]")


class ItemQuery(Include):
    after: Annotated[str, Field(max_length=255)] | None = Field(
        default=None, description="The id of an item: `last_id` of the page before."
    )
    limit: Annotated[int, Field(ge=1, le=100)] = settings.openai_page_limit
    order: Literal["asc", "desc"] = Field(
        default="desc", description="By position; `desc` has the newest first."
    )


class Conversation(TypedDict):
    """created_at: in seconds since 1970."""

    id: Annotated[str, Field(examples=["conv_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    object: Literal["conversation"]
    created_at: int
    metadata: dict[str, Any]


class DeletedConversation(TypedDict):
    id: str
    object: Literal["conversation.deleted"]
    deleted: Literal[True]


class ItemList(TypedDict):
    """first_id and last_id are null where the list is empty."""

    object: Literal["list"]
    data: list[dict[str, Any]]
    first_id: str | None
    last_id: str | None
    has_more: bool
