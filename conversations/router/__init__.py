"""The module's routes. Each opens one session, calls one service function, and answers."""

from conversations.router import branches, context, conversations, messages, summaries, tool_calls
from conversations.router.base import router

__all__ = ["branches", "context", "conversations", "messages", "router", "summaries", "tool_calls"]
