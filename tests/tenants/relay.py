"""A network between us and PostgreSQL that does what networks do: it goes silent, or is slow."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from sqlalchemy.engine import make_url


class Relay:
    """Passes bytes between clients and the server of a URL, until it is told otherwise."""

    def __init__(self, url: str, folder: Path) -> None:
        parts = make_url(url)
        socket = f".s.PGSQL.{parts.query['port']}"
        self._server_path = str(Path(str(parts.query["host"])) / socket)
        self._own_path = folder / socket
        self._awake = asyncio.Event()
        self._awake.set()
        self._released = asyncio.Event()
        self._held_word: bytes | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = parts.update_query_dict({"host": str(folder)}).render_as_string(
            hide_password=False
        )

    def freeze(self) -> None:
        """Let nothing through any more; connections stay open, and new ones are accepted."""
        self._awake.clear()

    def thaw(self) -> None:
        self._awake.set()

    def hold(self, word: str) -> None:
        """Keep back the server's answers on connections over which this word is sent."""
        self._held_word = word.encode()
        self._released.clear()

    def release(self) -> None:
        self._held_word = None
        self._released.set()

    async def __aenter__(self) -> "Relay":
        self._server = await asyncio.start_unix_server(self._serve, self._own_path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # The server of asyncio.streams reports a cancelled handler as a failure.
        with contextlib.suppress(asyncio.CancelledError):
            async with _closing(answers):
                await self._pass_on(client, answers)

    async def _pass_on(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        await self._awake.wait()
        server, requests = await asyncio.open_unix_connection(self._server_path)
        async with _closing(requests):
            await self._carry(client, requests, server, answers)

    async def _carry(
        self,
        client: asyncio.StreamReader,
        requests: asyncio.StreamWriter,
        server: asyncio.StreamReader,
        answers: asyncio.StreamWriter,
    ) -> None:
        held = False

        async def carry_requests() -> None:
            nonlocal held
            while data := await client.read(65536):
                held = held or (self._held_word is not None and self._held_word in data)
                await self._awake.wait()
                requests.write(data)
                await requests.drain()

        async def carry_answers() -> None:
            nonlocal held
            while data := await server.read(65536):
                await self._awake.wait()
                if held:
                    await self._released.wait()
                    held = False
                answers.write(data)
                await answers.drain()

        directions = [asyncio.create_task(carry_requests()), asyncio.create_task(carry_answers())]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def open_relay(url: str) -> AsyncIterator[Relay]:
    """A relay to the server of this URL, which names a socket's folder as its host."""
    folder = Path(tempfile.mkdtemp(prefix="relay-"))
    try:
        async with Relay(url, folder) as relay:
            yield relay
    finally:
        shutil.rmtree(folder)
