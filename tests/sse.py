"""Server-sent events as a reader gets them: parsed, and held against the format.

Source: WHATWG HTML, section 9.2.6, "Interpreting an event stream".
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from tests.project.exchange import LOCAL, Exchange


@dataclass(frozen=True)
class Event:
    """id: that of this event; None if it has none of its own. data: parsed as JSON."""

    name: str
    id: str | None
    data: Any


class EventReader:
    """Takes bytes as they come and gives whole events.

    last_id: what to send as `Last-Event-ID`. retry_ms, comments: what was said beside events.
    """

    def __init__(self, last_id: str | None = None) -> None:
        self.last_id = last_id
        self.retry_ms: int | None = None
        self.comments = 0
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Event]:
        *blocks, self._rest = (self._rest + data).split(b"\n\n")
        for block in blocks:
            event = self._read(block.decode())
            if event is not None:
                yield event

    def _read(self, block: str) -> Event | None:
        name, event_id, lines = "message", None, []
        for line in block.split("\n"):
            key, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not key:
                self.comments += 1
            elif key == "event":
                name = value
            elif key == "id":
                self.last_id = event_id = value
            elif key == "retry":
                self.retry_ms = int(value)
            else:
                assert key == "data", line
                lines.append(value)
        return Event(name, event_id, orjson.loads("\n".join(lines))) if lines else None


class Stream:
    """An open stream of an application in this process."""

    def __init__(self, application: Any, exchange: Exchange, reader: EventReader) -> None:
        self.exchange, self.reader = exchange, reader
        # Of the last event that was taken; others may have arrived.
        self.last_id = reader.last_id
        self.stalled = False  # Whether it has stopped reading.
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._begun = asyncio.Event()
        exchange.send = self._send  # type: ignore[method-assign]
        self.task = asyncio.create_task(exchange.run(application))

    async def _send(self, message: Any) -> None:
        if self.stalled:
            await asyncio.sleep(3600)
        self.exchange.sent.append(message)
        if message["type"] == "http.response.start" or self.exchange.status != 200:
            return
        for event in self.reader.feed(message.get("body", b"")):
            self._events.put_nowait(event)

    async def next(self, name: str | None = None, seconds: float = 5.0) -> Event:
        """The next event, or the next of this name."""
        async with asyncio.timeout(seconds):
            while True:
                event = await self._events.get()
                self.last_id = event.id or self.last_id
                if name is None or event.name == name:
                    return event

    async def take(self, count: int, name: str = "message", seconds: float = 10.0) -> list[Event]:
        async with asyncio.timeout(seconds):
            return [await self.next(name, seconds) for _ in range(count)]

    async def silence(self, seconds: float = 0.6) -> None:
        """Fail if an event comes within this time."""
        with contextlib.suppress(TimeoutError):
            event = await self.next(seconds=seconds)
            raise AssertionError(f"there came {event}")

    async def ended(self, seconds: float = 5.0) -> None:
        """Wait for the server to end it."""
        async with asyncio.timeout(seconds):
            await asyncio.wait([self.task])

    async def leave(self) -> None:
        self.exchange.disconnected.set()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.task, 5)


@contextlib.asynccontextmanager
async def open_stream(
    application: Any, key: str, path: str, last_event_id: str | None = None, ready: bool = True
) -> AsyncIterator[Stream]:
    """Open a stream under `/api/v1` with an API key, and leave it at the end of the block.

    ready: wait for the event that says so.
    """
    path, _, query = path.partition("?")
    headers = [*LOCAL, (b"authorization", f"Bearer {key}".encode())]
    if last_event_id is not None:
        headers.append((b"last-event-id", last_event_id.encode()))
    exchange = Exchange("GET", f"/api/v1{path}", query=query.encode(), headers=headers)
    stream = Stream(application, exchange, EventReader(last_event_id))
    try:
        if ready:
            assert (await stream.next()).name == "ready"
        yield stream
    finally:
        await stream.leave()
