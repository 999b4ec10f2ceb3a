"""A history in the shapes that model providers take.

Each function takes messages whose calls and outputs are in pairs, in the order of the log, and
with their calls as values; nothing is asked of the database here.
"""

from conversations.service.formats.anthropic import OPENING, render_anthropic
from conversations.service.formats.chat import render_chat
from conversations.service.formats.responses import render_responses

__all__ = ["OPENING", "render_anthropic", "render_chat", "render_responses"]
