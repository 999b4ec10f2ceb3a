"""The SQL of the conversation log: its tables, the columns that are shown, the larger statements.

Statements take their rows as JSON, so that a batch of one and a batch of a hundred messages are
the same statement to the server, and stay prepared there.
"""

from conversations.statements.append import TOTALS, append_statement, lock_statement
from conversations.statements.pages import (
    in_conversation,
    message_statement,
    page_statement,
    repeats_statement,
)
from conversations.statements.search import search_statement
from conversations.statements.tables import (
    CALL_COLUMNS,
    CALL_IS_KEPT,
    CALLS,
    CONVERSATION_COLUMNS,
    CONVERSATIONS,
    IS_KEPT,
    IS_OPEN,
    MESSAGE_IS_KEPT,
    MESSAGES,
)

__all__ = [
    "CALLS",
    "CALL_COLUMNS",
    "CALL_IS_KEPT",
    "CONVERSATIONS",
    "CONVERSATION_COLUMNS",
    "IS_KEPT",
    "IS_OPEN",
    "MESSAGES",
    "MESSAGE_IS_KEPT",
    "TOTALS",
    "append_statement",
    "in_conversation",
    "lock_statement",
    "message_statement",
    "page_statement",
    "repeats_statement",
    "search_statement",
]
