"""The module's routes. Each opens one session, calls one service function, and answers."""

from conversations.router import conversations, export, messages, tool_calls, usage
from conversations.router.base import router

__all__ = ["conversations", "export", "messages", "router", "tool_calls", "usage"]
