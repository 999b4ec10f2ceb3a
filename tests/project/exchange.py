"""One HTTP exchange with an ASGI application, spoken by hand, as no HTTP client would."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

Header = tuple[bytes, bytes]
LOCAL: Sequence[Header] = ((b"host", b"localhost"),)


class Exchange:
    """A request, and what has been answered so far.

    chunks: the body as it arrives. stalls: the body's end never comes.
    """

    def __init__(
        self,
        method: str,
        path: str,
        *,
        query: bytes = b"",
        headers: Sequence[Header] = LOCAL,
        chunks: Sequence[bytes] = (b"",),
        stalls: bool = False,
    ) -> None:
        self.scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": list(headers),
            "server": ("localhost", 80),
            "client": ("127.0.0.1", 50_000),
        }
        self._messages = [
            {
                "type": "http.request",
                "body": chunk,
                "more_body": stalls or position < len(chunks) - 1,
            }
            for position, chunk in enumerate(chunks)
        ]
        self.received_bytes = 0
        self.sent: list[Any] = []
        self.disconnected = asyncio.Event()

    async def receive(self) -> Any:
        if self._messages:
            message = self._messages.pop(0)
            self.received_bytes += len(message["body"])
            return message
        await self.disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def run(self, application: Any) -> "Exchange":
        await application(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        return self.sent[0]["status"]

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def problem(self) -> dict[str, Any]:
        """The body of an error, which is held against RFC 9457 and our own additions."""
        content = orjson.loads(self.body)
        assert self.headers["content-type"] == "application/problem+json"
        assert set(content) - {"errors"} == {
            "type",
            "title",
            "status",
            "code",
            "detail",
            "request_id",
        }
        assert content["status"] == self.status
        assert content["request_id"] == self.headers["x-request-id"]
        return content
