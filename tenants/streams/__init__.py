"""Streams of server-sent events: who waits for what, and how a process hears of it.

The table is the truth. Everything here only says when to look at it again: a stream that was told
nothing, or too much, still sends each row once.
"""

from tenants.streams.events import KEEP_ALIVE, encode_event, encode_retry
from tenants.streams.follow import follow
from tenants.streams.hub import Hub, Subscription, hub
from tenants.streams.topic import Topic

__all__ = [
    "KEEP_ALIVE",
    "Hub",
    "Subscription",
    "Topic",
    "encode_event",
    "encode_retry",
    "follow",
    "hub",
]
