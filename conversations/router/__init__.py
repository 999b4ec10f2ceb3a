"""The module's routes. Each opens one session, calls one service function, and answers."""

from conversations.router import conversations, feed, messages, tool_calls
from conversations.router.base import router

__all__ = ["conversations", "feed", "messages", "router", "tool_calls"]
