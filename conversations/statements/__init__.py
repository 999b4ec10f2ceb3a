"""The SQL of the conversation log: its tables, the columns that are shown, the larger statements.

Statements take their rows as JSON, so that a batch of one and a batch of a hundred messages are
the same statement to the server, and stay prepared there.
"""

from conversations.statements.append import append_statement
from conversations.statements.erasure import CLAIMED, IS_CLAIMED, family_of, is_due
from conversations.statements.pages import in_conversation, message_statement, page_statement
from conversations.statements.tables import (
    ANSWERS,
    ATTACHMENTS,
    CALL_COLUMNS,
    CALLS,
    CONVERSATION_COLUMNS,
    CONVERSATIONS,
    ERASURES,
    FEEDBACK,
    IS_EXPIRED,
    IS_KEPT,
    IS_OPEN,
    MESSAGES,
    SUMMARIES,
)

__all__ = [
    "ANSWERS",
    "ATTACHMENTS",
    "CALLS",
    "CALL_COLUMNS",
    "CLAIMED",
    "CONVERSATIONS",
    "CONVERSATION_COLUMNS",
    "ERASURES",
    "FEEDBACK",
    "IS_CLAIMED",
    "IS_EXPIRED",
    "IS_KEPT",
    "IS_OPEN",
    "MESSAGES",
    "SUMMARIES",
    "append_statement",
    "family_of",
    "in_conversation",
    "is_due",
    "message_statement",
    "page_statement",
]
