"""Attachments."""

from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from conversations.schemas.base import ForeignId, Input


class NewAttachment(Input):
    """What is said of an uploaded file, as fields of the form beside it.

    conversation_id: the conversation with which it is hidden and erased. user_id: the end user in
    your own system whose it is, and with whose data it is erased.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_id": "user-7"}]})

    conversation_id: Annotated[str, Field(max_length=255)] | None = None
    user_id: ForeignId | None = None


class Attachment(TypedDict):
    """An uploaded file. size: in bytes. sha256: of the bytes, in hexadecimal digits.

    media_type: what the client said that it is; nobody has looked.
    """

    id: Annotated[str, Field(examples=["att_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5"])]
    conversation_id: str | None
    user_id: str | None
    name: str
    media_type: str
    size: int
    sha256: str
    created_at: datetime
