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

from benchmarks.scenarios import Request, Run, is_append, list_requests

_STUCK_SECONDS = 20.0
_LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass
class Result:
    """answers: those with the expected status, which are all, or `error` says otherwise.

    appends: how many of them say that a message was written.
    """

    answers: int = 0
    appends: int = 0
    seconds: float = 0.0
    p50_milliseconds: float = 0.0
    p99_milliseconds: float = 0.0
    error: str | None = None


@dataclass
class _Progress:
    stop_at: float
    left: int
    appends: int = 0
    durations: list[float] = field(default_factory=list)
    error: str | None = None


class _Client(asyncio.Protocol):
    """One connection: sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: Iterator[Request], progress: _Progress) -> None:
        self._requests = requests
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
        if not self._is_whole():
            return
        if not self._received.startswith(self._sent[1]):
            self._fail(self._received.decode(errors="replace")[:500])
            return
        self._progress.durations.append(time.perf_counter() - self._sent_at)
        self._progress.appends += is_append(self._sent)
        self._received, self._whole = b"", 0
        self._send()

    def _is_whole(self) -> bool:
        if not self._whole:
            head, blank, _ = self._received.partition(b"\r\n\r\n")
            if not blank:
                return False
            _, length, rest = head.lower().partition(b"\r\ncontent-length: ")
            if not length:  # Django's stock handler doesn't say how long its answers are.
                return self._received.endswith(_LAST_CHUNK)
            self._whole = len(head) + 4 + int(rest.partition(b"\r\n")[0])
        return len(self._received) >= self._whole

    def _send(self) -> None:
        progress = self._progress
        if time.perf_counter() > progress.stop_at or progress.left <= 0 or progress.error:
            self._end()
            return
        progress.left -= 1
        self._sent = next(self._requests)
        self._sent_at = time.perf_counter()
        self._transport.write(self._sent[0])

    def _fail(self, reason: str) -> None:
        self._progress.error = reason
        self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
        self._transport.close()


async def perform(run: Run) -> Result:
    loop = asyncio.get_running_loop()
    started_at = time.perf_counter()
    progress = _Progress(started_at + run.seconds, run.max_requests)
    clients = []
    for number in range(run.connections):
        _, client = await loop.create_connection(
            partial(_Client, list_requests(run, number), progress), "127.0.0.1", run.port
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
        appends=progress.appends,
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
