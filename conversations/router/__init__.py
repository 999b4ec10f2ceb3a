"""The module's routes. Each opens one session, calls one service function, and answers."""

from conversations.router.base import router
from conversations.router.conversations import (
    archive_conversation,
    change_conversation,
    delete_conversation,
    get_conversation,
    list_conversations,
    start_conversation,
)
from conversations.router.messages import OneOrMany, append_messages, get_message, list_messages
from conversations.router.tool_calls import list_tool_calls, report_result

__all__ = [
    "OneOrMany",
    "append_messages",
    "archive_conversation",
    "change_conversation",
    "delete_conversation",
    "get_conversation",
    "get_message",
    "list_conversations",
    "list_messages",
    "list_tool_calls",
    "report_result",
    "router",
    "start_conversation",
]
