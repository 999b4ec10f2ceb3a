# Made by generate_sync.py from the file of this name in `_async`.
"""A stream of events that goes on after its connection has broken off."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from tenantry_client._sync.transport import Transport
from tenantry_client._calls import Call, pause_before
from tenantry_client._events import EventParser
from tenantry_client.errors import ConnectionFailed, ServerFailed, TooManyRequests
from tenantry_client.models import Event

# After so long without even a heartbeat, which comes every 15 seconds, nobody is there any more.
_SILENCE_SECONDS = 60.0


class EventStream:
    """Events as they happen, none lost and none twice, however often the connection breaks off.

    Iterate over it; it ends when what it is about is deleted. last_id: that of the newest event
    that you were given, from where another stream can go on, in another process or on another day.
    """

    def __init__(self, transport: Transport, call: Call, after: str | None) -> None:
        self._transport = transport
        self._call = call
        self.last_id = after

    def __iter__(self) -> Iterator[Event]:
        """Raises APIError when it is refused."""
        failures = 0
        while True:
            parser = EventParser(self.last_id)
            try:
                with closing(self._transport.read_lines(self._resumed())) as lines:
                    for line in lines:
                        event = parser.feed(line)
                        self.last_id = parser.last_id
                        if event is None:
                            continue
                        failures = 0
                        if event.event != "ready":  # It only says where the stream begins.
                            yield event
                        if event.event == "deleted":
                            return
            except (ConnectionFailed, ServerFailed, TooManyRequests):
                failures += 1
            pause = pause_before(failures) if failures else 0.0
            time.sleep(max(pause, parser.retry_seconds or 0.0))

    def _resumed(self) -> Call:
        headers = {"accept": "text/event-stream"}
        if self.last_id is not None:
            headers["last-event-id"] = self.last_id
        return replace(self._call, headers=headers, retries=0, read_seconds=_SILENCE_SECONDS)
