"""Search over titles and messages."""

from typing import Annotated

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from conversations.schemas.base import ForeignId, Language, PageQuery
from conversations.schemas.conversations import ConversationStatus
from conversations.schemas.messages import Role


def _says_something(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    return text


class SearchQuery(PageQuery):
    """Filters hold for the hit's conversation, but `language` for a message's own language."""

    q: Annotated[
        str,
        Field(min_length=1, max_length=256, examples=['"light rain" oslo -bergen']),
        AfterValidator(_says_something),
    ] = Field(
        description=(
            'Words that must all be there, `"a phrase"`, `or` between alternatives, `-without`.'
        )
    )
    user_id: ForeignId | None = None
    agent_id: ForeignId | None = None
    status: ConversationStatus | None = None
    language: Language | None = None


class SnippetPart(TypedDict):
    """A piece of text, as it is: not escaped, and without any marks in it."""

    text: str
    highlighted: bool


class SearchHit(TypedDict):
    """A message, or the title of a conversation; then message_id, seq and role are null.

    snippet: what surrounds the words that were found, in pieces to be put one after the other.
    rank: how well it fits, compared with the other hits of this query.
    """

    conversation_id: str
    title: str | None
    message_id: str | None
    seq: int | None
    role: Role | None
    snippet: list[SnippetPart]
    rank: float
