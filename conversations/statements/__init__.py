"""The SQL of the conversation log: its tables, the columns that are shown, the larger statements.

Statements take their rows as JSON, so that a batch of one and a batch of a hundred messages are
the same statement to the server, and stay prepared there.
"""

from conversations.statements.append import append_statement
from conversations.statements.pages import in_conversation, message_statement, page_statement
from conversations.statements.tables import (
    ATTACHMENTS,
    CALL_COLUMNS,
    CALLS,
    CONVERSATION_COLUMNS,
    CONVERSATIONS,
    FEEDBACK,
    IS_EXPIRED,
    IS_KEPT,
    IS_OPEN,
    MESSAGES,
)

__all__ = [
    "ATTACHMENTS",
    "CALLS",
    "CALL_COLUMNS",
    "CONVERSATIONS",
    "CONVERSATION_COLUMNS",
    "FEEDBACK",
    "IS_EXPIRED",
    "IS_KEPT",
    "IS_OPEN",
    "MESSAGES",
    "append_statement",
    "in_conversation",
    "message_statement",
    "page_statement",
]
