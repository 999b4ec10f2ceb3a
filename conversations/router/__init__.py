"""The module's routes. Each opens one session, calls one service function, and answers."""

from conversations.router import (
    attachments,
    conversations,
    erasures,
    export,
    feed,
    feedback,
    imports,
    messages,
    openai,
    openai_errors,
    repair,
    tool_calls,
    usage,
)
from conversations.router.base import router

__all__ = [
    "attachments",
    "conversations",
    "erasures",
    "export",
    "feed",
    "feedback",
    "imports",
    "messages",
    "openai",
    "openai_errors",
    "repair",
    "router",
    "tool_calls",
    "usage",
]
