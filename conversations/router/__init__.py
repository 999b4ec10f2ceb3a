"""The module's routes. Each opens one session, calls one service function, and answers."""

from conversations.router import conversations, export, imports, messages, tool_calls, usage
from conversations.router.base import router

__all__ = ["conversations", "export", "imports", "messages", "router", "tool_calls", "usage"]
