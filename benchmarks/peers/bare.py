"""The limit: a bare ASGI function on asyncpg that does the same job with nothing around it.

It looks the API key's hash up in a dictionary, trusts its input, and works in three round trips:
BEGIN with role and path as one message, one statement, COMMIT. Statements stay prepared on ten
connections, taken last in, first out.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from benchmarks.peers import bare_append, bare_lists, bare_page
from benchmarks.peers.place import connect, find_schema
from benchmarks.peers.repeats import Keyed
from benchmarks.stage import POOL_SIZE
from tenants.ids import find_id

_pool: asyncio.LifoQueue[asyncpg.Connection] = asyncio.LifoQueue()
_PREFIX = "/api/v1/"


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    headers = dict(scope["headers"])
    schema = find_schema(headers.get(b"authorization", b"").removeprefix(b"Bearer "))
    more: list[tuple[bytes, bytes]] = []
    if schema is None:
        status, body = 401, b"{}"
    elif scope["method"] == "POST":
        status, body, more = await _append(schema, scope["path"], headers, await _read(receive))
    else:
        status, body = await _answer(schema, scope["path"], scope["query_string"])
    kind = (b"content-type", b"application/json")
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [kind, length, *more]})
    await send({"type": "http.response.body", "body": body})


async def _append(
    schema: str, path: str, headers: dict[bytes, bytes], body: bytes
) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    conversation_id = find_id("conv", path.split("/")[4])
    if conversation_id is None:
        return 404, b"{}", []
    key = headers.get(b"idempotency-key")
    append = bare_append.Append(conversation_id, body)
    if key is None:
        async with _transaction(schema, "BEGIN") as connection:
            return *await append.perform(connection), []
    keyed = Keyed.of(schema, key, path, body)
    try:
        async with _transaction(schema, "BEGIN") as connection:
            return *await append.perform_once(connection, keyed), []
    except (bare_append.IsRepeat, asyncpg.UniqueViolationError):
        # The second because the message's calls are there already.
        async with _transaction(schema, "BEGIN READ ONLY") as connection:
            return await bare_append.replay(connection, keyed)


async def _answer(schema: str, path: str, query: bytes) -> tuple[int, bytes]:
    async with _transaction(schema, "BEGIN READ ONLY") as connection:
        if path == f"{_PREFIX}conversations":
            return await bare_lists.list_conversations(connection, query)
        if path == f"{_PREFIX}search":
            return await bare_lists.search(connection, query)
        return await bare_page.read_page(connection, path.split("/")[4], query)


@asynccontextmanager
async def _transaction(schema: str, begin: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await _pool.get()
    try:
        await connection.execute(
            f'{begin}; SET LOCAL ROLE "{schema}"; SET LOCAL search_path TO "{schema}"'
        )
        try:
            yield connection
        except BaseException:
            await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
    finally:
        _pool.put_nowait(connection)


async def _read(receive: Any) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _live(receive: Any, send: Any) -> None:
    await receive()
    for _ in range(POOL_SIZE):
        _pool.put_nowait(await connect())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    while not _pool.empty():
        await _pool.get_nowait().close()
    await send({"type": "lifespan.shutdown.complete"})
