"""The tables of the conversation log.

A message stands at its `seq`, contiguous from 1 in its conversation; a tool call at its message's
`seq` and its own `index` in the message. Order never comes from timestamps, which tie.
"""

from conversations.models.around import (
    AnsweredRequest,
    Attachment,
    Erasure,
    Feedback,
    Summary,
)
from conversations.models.base import (
    CALL_STATUSES,
    CLOSED_CALL_STATUSES,
    CONVERSATION_STATUSES,
    MESSAGE_STATUSES,
    OPEN_CALL_STATUSES,
    RATINGS,
    READY_CALL_STATUSES,
    ROLES,
    Base,
)
from conversations.models.languages import LANGUAGES
from conversations.models.log import (
    SEARCHED_CHARACTERS,
    Conversation,
    Message,
    ToolCall,
)

__all__ = [
    "CALL_STATUSES",
    "CLOSED_CALL_STATUSES",
    "CONVERSATION_STATUSES",
    "LANGUAGES",
    "MESSAGE_STATUSES",
    "OPEN_CALL_STATUSES",
    "RATINGS",
    "READY_CALL_STATUSES",
    "ROLES",
    "SEARCHED_CHARACTERS",
    "AnsweredRequest",
    "Attachment",
    "Base",
    "Conversation",
    "Erasure",
    "Feedback",
    "Message",
    "Summary",
    "ToolCall",
]
