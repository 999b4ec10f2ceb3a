"""A line to an HTTP server that loses requests and answers."""

import contextlib
import re
import socket
import threading
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class CuttingProxy:
    """Forwards one request at a time on each connection, and may cut that instead of answering.

    requests: how many have come. cuts: how many connections have been cut.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._plans: list[str] = []
        self._every = 0
        self.requests = self.cuts = 0

    def cut_answers(self, count: int) -> None:
        """Forward the next requests, wait for their answers, and cut before passing them on."""
        self._plans = ["answer"] * count

    def cut_requests(self, count: int) -> None:
        """Cut before the next requests are forwarded."""
        self._plans = ["request"] * count

    def hold_answers(self, count: int) -> None:
        """Forward the next requests and say nothing more."""
        self._plans = ["hold"] * count

    def cut_every(self, number: int) -> None:
        """Lose each so many-th answer."""
        self._every = number

    @property
    def cuts_left(self) -> int:
        return len(self._plans)

    def __enter__(self) -> "CuttingProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread that waits in accept, which closing alone doesn't.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            contextlib.suppress(OSError),
            client,
            socket.create_connection(self._server) as server,
        ):
            while request := _read_message(client):
                plan = self._plan()
                if plan == "request":
                    return
                server.sendall(request)
                answer = _read_message(server)
                if plan == "hold":
                    client.recv(1)  # Until the client has had enough.
                if plan is not None:
                    return
                client.sendall(answer)

    def _plan(self) -> str | None:
        with self._lock:
            self.requests += 1
            plan = self._plans.pop() if self._plans else None
            if plan is None and self._every and self.requests % self._every == 0:
                plan = "answer"
            self.cuts += plan is not None
            return plan


def _read_message(connection: socket.socket) -> bytes:
    """A request or an answer with a content length; empty where the other end has closed."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(65536)
        if not data:
            return b""
        received += data
    head, _, _ = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    total = len(head) + 4 + (int(length[1]) if length else 0)
    while len(received) < total:
        data = connection.recv(65536)
        if not data:
            return b""
        received += data
    return received
