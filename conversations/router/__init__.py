"""The module's routes. Each opens one session, calls one service function, and answers."""

from conversations.router import conversations, messages, search, tool_calls
from conversations.router.base import router

__all__ = ["conversations", "messages", "router", "search", "tool_calls"]
