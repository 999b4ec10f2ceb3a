"""Connections whose requests must begin in time.

uvicorn waits for the head of a request (its line and headers) for ever, and keeps as much of it as
comes. A client that sends one byte a minute, or none, would hold a connection until it goes.
"""

from asyncio import Transport
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# Far beyond what any client sends.
MAX_HEAD_BYTES = 65_536


class PromptConnection(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it. A head that takes too long is answered with 408, one that is
    too large with 431, and a connection on which none begins is closed.

    Between two requests uvicorn's own time for idle connections counts.
    """

    def __init__(self, *args: Any, head_timeout_seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._head_timeout_seconds = head_timeout_seconds
        self._head_timer: Any = None
        self._head_bytes = 0
        self._is_in_head = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # As there.
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # Nearly all heads come whole, and need no timer.
        if self._is_in_head:
            if self._head_timer is None:
                self._await_head()
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(431)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_in_head = True

    def on_headers_complete(self) -> None:
        self._forget_head()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self._head_timeout_seconds, self._give_up)

    def _forget_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer, self._head_bytes, self._is_in_head = None, 0, False

    def _give_up(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # Sent ahead, behind a request that is still being answered: nothing is read meanwhile.
            self._await_head()
        elif self._is_in_head:
            self._refuse(408)
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        self._forget_head()
        self.transport.write(
            STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()
