"""Server-sent events, read line by line. Source: HTML Standard, "Server-sent events"."""

import json
from typing import Any

from tenantry_client.models import Event


class EventParser:
    """Takes lines without their ends, and gives an event at each empty one.

    last_id: where to go on when the stream breaks off. retry_seconds: what the service asks for.
    """

    def __init__(self, last_id: str | None) -> None:
        self.last_id = last_id
        self.retry_seconds: float | None = None
        self._kind = "message"
        self._id: str | None = None
        self._data: list[str] = []

    def feed(self, line: str) -> Event | None:
        if line:
            name, _, value = line.partition(":")
            self._take(name, value.removeprefix(" "))
            return None
        event = None
        if self._data:
            event = Event(event=self._kind, id=self._id, data=_parse("\n".join(self._data)))
        self.last_id = self._id or self.last_id  # Even where nothing has happened yet.
        self._kind, self._id, self._data = "message", None, []
        return event

    def _take(self, name: str, value: str) -> None:
        if name == "event":
            self._kind = value
        elif name == "id":
            self._id = value
        elif name == "data":
            self._data.append(value)
        elif name == "retry" and value.isdigit():
            self.retry_seconds = int(value) / 1000


def _parse(data: str) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data
