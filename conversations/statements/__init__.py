"""The SQL of the conversation log: its tables, the columns that are shown, the larger statements.

Statements take their rows as JSON, so that a batch of one and a batch of a hundred messages are
the same statement to the server, and stay prepared there.
"""

from conversations.statements.append import append_statement
from conversations.statements.branches import branches_statement
from conversations.statements.context import context_statement
from conversations.statements.forks import fork_statement
from conversations.statements.pages import in_conversation, message_statement, page_statement
from conversations.statements.tables import (
    CALL_COLUMNS,
    CALLS,
    CONVERSATION_COLUMNS,
    CONVERSATIONS,
    IS_KEPT,
    IS_OPEN,
    MESSAGES,
    SUMMARIES,
    SUMMARY_COLUMNS,
)

__all__ = [
    "CALLS",
    "CALL_COLUMNS",
    "CONVERSATIONS",
    "CONVERSATION_COLUMNS",
    "IS_KEPT",
    "IS_OPEN",
    "MESSAGES",
    "SUMMARIES",
    "SUMMARY_COLUMNS",
    "append_statement",
    "branches_statement",
    "context_statement",
    "fork_statement",
    "in_conversation",
    "message_statement",
    "page_statement",
]
