"""The module's routes. Each opens one session, calls one service function, and answers."""

from conversations.router import (
    attachments,
    conversations,
    erasures,
    feedback,
    messages,
    tool_calls,
)
from conversations.router.base import router

__all__ = [
    "attachments",
    "conversations",
    "erasures",
    "feedback",
    "messages",
    "router",
    "tool_calls",
]
