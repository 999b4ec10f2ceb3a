"""The SQL of the conversation log: its tables, the columns that are shown, the larger statements.

Statements take their rows as JSON, so that a batch of one and a batch of a hundred messages are
the same statement to the server, and stay prepared there.
"""

from conversations.statements.answered_requests import (
    find_answer_statement,
    keep_answer_statement,
)
from conversations.statements.append import (
    TOTALS,
    append_once_statement,
    append_statement,
    lock_statement,
)
from conversations.statements.branches import branches_statement, reconnect_statement
from conversations.statements.check import (
    FINDINGS_OF_A_KIND,
    check_statement,
)
from conversations.statements.closing import (
    close_statement,
    overdue_statement,
)
from conversations.statements.context import context_statement
from conversations.statements.erasure import (
    CLAIMED,
    IS_CLAIMED,
    family_of,
    is_due,
    open_erasures_statement,
)
from conversations.statements.feed import (
    active_statement,
    activity_statement,
    heads_statement,
)
from conversations.statements.forks import fork_statement
from conversations.statements.pages import (
    in_conversation,
    message_statement,
    page_statement,
    repeats_statement,
)
from conversations.statements.reindexing import change_of_reindex_seq, reindex_statement
from conversations.statements.search import search_statement
from conversations.statements.sidebar import conversation_statement, sidebar_statement
from conversations.statements.tables import (
    ANSWERED_REQUESTS,
    ATTACHMENTS,
    CALL_COLUMNS,
    CALL_IS_KEPT,
    CALLS,
    CONVERSATION_COLUMNS,
    CONVERSATIONS,
    ERASURES,
    FEEDBACK,
    IS_EXPIRED,
    IS_KEPT,
    IS_OPEN,
    IS_READY,
    MESSAGE_IS_KEPT,
    MESSAGES,
    REQUIRED_APPROVAL,
    SUMMARIES,
    SUMMARY_COLUMNS,
)
from conversations.statements.usage import (
    usage_statement,
)

__all__ = [
    "ANSWERED_REQUESTS",
    "ATTACHMENTS",
    "CALLS",
    "CALL_COLUMNS",
    "CALL_IS_KEPT",
    "CLAIMED",
    "CONVERSATIONS",
    "CONVERSATION_COLUMNS",
    "ERASURES",
    "FEEDBACK",
    "FINDINGS_OF_A_KIND",
    "IS_CLAIMED",
    "IS_EXPIRED",
    "IS_KEPT",
    "IS_OPEN",
    "IS_READY",
    "MESSAGES",
    "MESSAGE_IS_KEPT",
    "REQUIRED_APPROVAL",
    "SUMMARIES",
    "SUMMARY_COLUMNS",
    "TOTALS",
    "active_statement",
    "activity_statement",
    "append_once_statement",
    "append_statement",
    "branches_statement",
    "change_of_reindex_seq",
    "check_statement",
    "close_statement",
    "context_statement",
    "conversation_statement",
    "family_of",
    "find_answer_statement",
    "fork_statement",
    "heads_statement",
    "in_conversation",
    "is_due",
    "keep_answer_statement",
    "lock_statement",
    "message_statement",
    "open_erasures_statement",
    "overdue_statement",
    "page_statement",
    "reconnect_statement",
    "reindex_statement",
    "repeats_statement",
    "search_statement",
    "sidebar_statement",
    "usage_statement",
]
