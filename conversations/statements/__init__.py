"""The SQL of the conversation log: its tables, the columns that are shown, the larger statements.

Statements take their rows as JSON, so that a batch of one and a batch of a hundred messages are
the same statement to the server, and stay prepared there.
"""

from conversations.statements.append import append_statement
from conversations.statements.check import FINDINGS_OF_A_KIND, check_statement
from conversations.statements.closing import close_statement, overdue_statement
from conversations.statements.pages import in_conversation, message_statement, page_statement
from conversations.statements.tables import (
    CALL_COLUMNS,
    CALL_IS_KEPT,
    CALLS,
    CONVERSATION_COLUMNS,
    CONVERSATIONS,
    IS_KEPT,
    IS_OPEN,
    IS_READY,
    MESSAGE_IS_KEPT,
    MESSAGES,
)

__all__ = [
    "CALLS",
    "CALL_COLUMNS",
    "CALL_IS_KEPT",
    "CONVERSATIONS",
    "CONVERSATION_COLUMNS",
    "FINDINGS_OF_A_KIND",
    "IS_KEPT",
    "IS_OPEN",
    "IS_READY",
    "MESSAGES",
    "MESSAGE_IS_KEPT",
    "append_statement",
    "check_statement",
    "close_statement",
    "in_conversation",
    "message_statement",
    "overdue_statement",
    "page_statement",
]
