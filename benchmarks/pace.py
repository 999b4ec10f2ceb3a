"""Requests at a pace: what callers wait while something else goes on.

A request's time counts from the moment at which it was due: whoever waits behind a slow answer has
waited, too.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

CONNECTIONS = 8


@dataclass(frozen=True)
class Spread:
    """Milliseconds."""

    p50: float
    p99: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Spread":
        cuts = quantiles(seconds, n=100, method="inclusive")
        return cls(cuts[49] * 1000, cuts[98] * 1000, len(seconds))


class Connection:
    """One connection of a client, which sends a request when the answer before it is there."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> "Connection":
        self._answers, self._requests = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._requests.close()
        await self._requests.wait_closed()

    async def ask(self, request: bytes, status: int) -> bytes:
        """The body of the answer. Raises RuntimeError if it has another status."""
        self._requests.write(request)
        head = await self._answers.readuntil(b"\r\n\r\n")
        _, _, length = head.lower().partition(b"\r\ncontent-length: ")
        body = await self._answers.readexactly(int(length.partition(b"\r\n")[0]))
        if not head.startswith(b"HTTP/1.1 %d" % status):
            raise RuntimeError(f"expected {status}, but: {(head + body)[:500].decode()}")
        return body


async def keep_pace(
    port: int,
    requests: Sequence[bytes],
    per_second: float,
    ended: asyncio.Event,
    status: int = 200,
) -> list[float]:
    """Send these, again and again, until it is to end. Returns the seconds that each took."""
    period = CONNECTIONS / per_second
    started_at = time.perf_counter()

    async def send(number: int) -> list[float]:
        seconds = []
        async with Connection(port) as connection:
            due_at = started_at + number / per_second
            turn = number
            while not ended.is_set():
                await asyncio.sleep(due_at - time.perf_counter())
                await connection.ask(requests[turn % len(requests)], status)
                seconds.append(time.perf_counter() - due_at)
                due_at += period
                turn += CONNECTIONS
        return seconds

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(send(number)) for number in range(CONNECTIONS)]
    return [each for task in tasks for each in task.result()]
