"""How many tokens a message has: what was stored with it, or else an estimate.

The estimate is (3 x bytes - characters) / 8 of the text in UTF-8: a quarter of a token for a
letter of English, which is the common rule of thumb, 5/8 for one of Greek or Cyrillic, one for a
Chinese, Japanese or Korean character, 11/8 for an emoji. To that come flat amounts for what isn't
text. It needs no vocabulary, and leans to too many rather than too few.
"""

from typing import Any

import orjson

from conversations import schemas
from conversations.service.formats.parts import FilePart, ImagePart, read_parts

# What providers put around each message and each call.
MESSAGE_TOKENS = 4
CALL_TOKENS = 8
# An image of middling size; a file of a few pages.
IMAGE_TOKENS = 1_000
FILE_TOKENS = 3_000

SUMMARY_INTRODUCTION = "Summary of the earlier conversation:\n\n"


def count_message(message: schemas.Message) -> tuple[int, bool]:
    """A message's tokens with its calls', and whether they are estimated."""
    if message["token_count"] is not None:
        return message["token_count"], False
    return estimate_message(message), True


def count_summary(summary: schemas.Summary) -> int:
    """A summary's tokens with its introduction."""
    tokens = summary["token_count"]
    text_tokens = estimate_text(summary["text"]) if tokens is None else tokens
    return MESSAGE_TOKENS + estimate_text(SUMMARY_INTRODUCTION) + text_tokens


def estimate_message(message: schemas.Message) -> int:
    calls = sum(
        CALL_TOKENS + estimate_text(call["name"]) + estimate_json(call["arguments"])
        for call in message["tool_calls"]
    )
    return MESSAGE_TOKENS + sum(map(_estimate_part, read_parts(message["content"]))) + calls


def estimate_text(text: str) -> int:
    return -(-(3 * len(text.encode()) - len(text)) // 8)


def estimate_json(value: Any) -> int:
    return estimate_text(orjson.dumps(value).decode())


def _estimate_part(part: Any) -> int:
    if isinstance(part, ImagePart):
        return IMAGE_TOKENS
    if isinstance(part, FilePart):
        return FILE_TOKENS
    return estimate_text(part.text)
