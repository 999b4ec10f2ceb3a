"""What a message's content is made of."""

from typing import Literal

from conversations.schemas.base import Input, MessageText


class TextPart(Input):
    type: Literal["text"]
    text: MessageText
