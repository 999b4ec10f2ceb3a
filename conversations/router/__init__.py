"""The module's routes. Each opens one session, calls one service function, and answers."""

from conversations.router import (
    attachments,
    branches,
    context,
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
    search,
    summaries,
    tool_calls,
    usage,
)
from conversations.router.base import router

__all__ = [
    "attachments",
    "branches",
    "context",
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
    "search",
    "summaries",
    "tool_calls",
    "usage",
]
