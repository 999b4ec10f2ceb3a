"""The load driver: a process of its own that keeps some connections busy and counts answers.

It reads a run as a JSON line on standard input and answers with one on standard output, again
and again. It writes ready-made bytes and looks no further into an answer than its status and its
length, so that it takes little of the processors that it shares with the services.
"""

import asyncio
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import quantiles
from typing import Any

import orjson
import uvloop

from benchmarks.stage import PAGE_MESSAGES, message_body

_STUCK_SECONDS = 20.0


@dataclass(frozen=True)
class Run:
    """One measurement: a scenario on one service.

    conversations: shared out among the connections. first_number: of the appends in this run;
    it makes their ids differ from those of other runs. Ends after `seconds` or `max_requests`.
    """

    port: int
    scenario: str
    api_key: str
    conversations: list[str]
    first_number: int
    connections: int
    seconds: float
    max_requests: int = 100_000


@dataclass
class Result:
    """answers: those with the expected status, which are all, or `error` says otherwise."""

    answers: int = 0
    seconds: float = 0.0
    p50_milliseconds: float = 0.0
    p99_milliseconds: float = 0.0
    error: str | None = None


@dataclass
class _Progress:
    stop_at: float
    left: int
    durations: list[float] = field(default_factory=list)
    error: str | None = None


class _Client(asyncio.Protocol):
    """One connection: sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], status: bytes, progress: _Progress) -> None:
        self._requests = requests
        self._status = status
        self._progress = progress
        self._received = b""
        self._whole = 0
        self._sent_at = 0.0
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self._fail(f"the connection was lost: {error!r}")

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._whole:
            head, blank, _ = self._received.partition(b"\r\n\r\n")
            if not blank:
                return
            _, _, length = head.lower().partition(b"\r\ncontent-length: ")
            self._whole = len(head) + 4 + int(length.partition(b"\r\n")[0])
        if len(self._received) < self._whole:
            return
        if not self._received.startswith(self._status):
            self._fail(self._received.decode(errors="replace")[:500])
            return
        self._progress.durations.append(time.perf_counter() - self._sent_at)
        self._received, self._whole = b"", 0
        self._send()

    def _send(self) -> None:
        progress = self._progress
        if time.perf_counter() > progress.stop_at or progress.left <= 0 or progress.error:
            self._end()
            return
        progress.left -= 1
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))

    def _fail(self, reason: str) -> None:
        self._progress.error = reason
        self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        self._transport.close()


def _requests(run: Run, client: int) -> Iterator[bytes]:
    own = run.conversations[client % len(run.conversations)]
    path = f"/api/v1/conversations/{own}/messages"
    head = f"host: localhost\r\nauthorization: Bearer {run.api_key}\r\n"
    if run.scenario == "read":
        request = f"GET {path}?limit={PAGE_MESSAGES} HTTP/1.1\r\n{head}\r\n".encode()
        while True:
            yield request
    post = f"POST {path} HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: "
    number = run.first_number + client
    while True:
        body = message_body(number)
        number += run.connections
        yield b"%b%d\r\n\r\n%b" % (post.encode(), len(body), body)


async def perform(run: Run) -> Result:
    loop = asyncio.get_running_loop()
    status = b"HTTP/1.1 200" if run.scenario == "read" else b"HTTP/1.1 201"
    started_at = time.perf_counter()
    progress = _Progress(started_at + run.seconds, run.max_requests)
    clients = []
    for number in range(run.connections):
        requests = _requests(run, number)
        _, client = await loop.create_connection(
            partial(_Client, requests, status, progress), "127.0.0.1", run.port
        )
        clients.append(client)
    _, stuck = await asyncio.wait(
        [client.ended for client in clients], timeout=run.seconds + _STUCK_SECONDS
    )
    if stuck:
        return Result(error=f"{len(stuck)} requests had no answer in {_STUCK_SECONDS} seconds")
    if progress.error or len(progress.durations) < 2:
        return Result(error=progress.error or "hardly any answer")
    cuts = quantiles(progress.durations, n=100)
    return Result(
        answers=len(progress.durations),
        seconds=time.perf_counter() - started_at,
        p50_milliseconds=cuts[49] * 1000,
        p99_milliseconds=cuts[98] * 1000,
    )


def main() -> None:
    for line in sys.stdin:
        result = uvloop.run(perform(Run(**orjson.loads(line))))
        print(orjson.dumps(asdict(result)).decode(), flush=True)


if __name__ == "__main__":
    main()
