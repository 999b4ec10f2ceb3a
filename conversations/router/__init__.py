"""The module's routes. Each opens one session, calls one service function, and answers."""

# The document shows the routes in the order in which these files are imported.
# isort: off
from conversations.router import (
    conversations,
    messages,
    tool_calls,
    search,
    context,
    summaries,
    branches,
    feed,
    feedback,
    attachments,
    erasures,
    export,
    imports,
    usage,
    repair,
    openai,
    openai_errors,
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
