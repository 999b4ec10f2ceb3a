"""Threads in which requests use Django's ORM, some of which keep their connection to the registry.

A connection takes some milliseconds to open. One thread for all requests would keep one too, but
then a slow request would hold up all others.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import asynccontextmanager

from asgiref.sync import ThreadSensitiveContext
from django.db import connections

from tenants import errors
from tenants.apps import get_settings

# Requests of the management API that a process answers at once, and how many connections stay
# open when there are fewer.
MANAGEMENT_CONCURRENCY = 8
_KEPT_CONNECTIONS = 2


class RegistryThreads:
    """A number of threads, each lent to one borrower at a time."""

    def __init__(self, count: int) -> None:
        self._threads = [ThreadPoolExecutor(1, f"registry-{number}") for number in range(count)]
        # The first are lent first, and are those that keep their connections.
        self._free: asyncio.PriorityQueue[int] = asyncio.PriorityQueue()
        for number in range(count):
            self._free.put_nowait(number)

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[None]:
        """Have what the block runs of Django's ORM run in a thread of its own.

        Raises PoolExhausted (503) if none gets free in time.
        """
        try:
            async with asyncio.timeout(get_settings().pool_timeout_seconds):
                number = await self._free.get()
        except TimeoutError:
            raise errors.PoolExhausted from None
        thread = self._threads[number]
        try:
            # What the block runs in the thread waits for this; the block itself needn't.
            thread.submit(_close_unusable)
            async with ThreadSensitiveContext(executor=thread):
                yield
        finally:
            if number >= _KEPT_CONNECTIONS:
                thread.submit(connections.close_all)
            self._free.put_nowait(number)

    async def close_connections(self) -> None:
        """Close what is kept. The threads may be borrowed again."""
        closing = [thread.submit(connections.close_all) for thread in self._threads]
        await asyncio.to_thread(wait, closing)


def _close_unusable() -> None:
    """Close connections that the server has cut; whoever comes next opens others."""
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None and not connection.is_usable():
            connection.close()


registry_threads = RegistryThreads(MANAGEMENT_CONCURRENCY)
