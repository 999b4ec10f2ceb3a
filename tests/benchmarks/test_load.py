"""The load driver against a server that answers as it is told."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from benchmarks.load import perform
from benchmarks.scenarios import Run

LENGTH = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@asynccontextmanager
async def server(*pieces):
    """Answers each request with these pieces, which are sent one after the other."""

    async def answer(reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.001)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def reads(port, max_requests):
    targets = {"page": [("key", "conv_1")]}
    return Run(port, "read", targets, 0, connections=2, seconds=5.0, max_requests=max_requests)


@pytest.mark.parametrize(
    "pieces",
    [[LENGTH], [LENGTH[:30], LENGTH[30:]], [CHUNKED], [CHUNKED[:50], CHUNKED[50:]]],
    ids=["whole", "in pieces", "chunked", "chunked in pieces"],
)
async def test_every_answer_is_counted_once(pieces):
    async with server(*pieces) as port:
        found = await perform(reads(port, 20))
    assert found.error is None
    assert (found.answers, found.appends) == (20, 0)
    assert 0 < found.p50_milliseconds <= found.p99_milliseconds


async def test_an_unexpected_answer_ends_the_run_and_is_shown():
    async with server(b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno") as port:
        found = await perform(reads(port, 20))
    assert found.error is not None
    assert found.error.startswith("HTTP/1.1 503 Busy")


async def test_a_lost_connection_ends_the_run():
    async def leave(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    listening = await asyncio.start_server(leave, "127.0.0.1", 0)
    async with listening:
        found = await perform(reads(listening.sockets[0].getsockname()[1], 20))
    assert found.error is not None
    assert found.error.startswith("the connection was lost")
