"""FastAPI with SQLAlchemy Core, written for speed: pydantic reads, orjson writes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import orjson
from fastapi import Depends, FastAPI, HTTPException, Response
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.peers import answers, core
from benchmarks.peers.fastapi_parts import ConversationKey, KeyedRequest, Limit, Tenant
from benchmarks.peers.orm import create_engine
from benchmarks.peers.repeats import InUse, Reused
from benchmarks.peers.shapes import MessageIn

_engine = create_engine(
    json_serializer=lambda value: orjson.dumps(value).decode(), json_deserializer=orjson.loads
)
_ENTER = text("SELECT set_config('role', :name, true), set_config('search_path', :name, true)")


@asynccontextmanager
async def _live(_application: FastAPI) -> AsyncIterator[None]:
    yield
    await _engine.dispose()


application = FastAPI(lifespan=_live)


async def get_connection(tenant: Tenant) -> AsyncIterator[AsyncConnection]:
    async with _engine.begin() as connection:
        await connection.execute(_ENTER, {"name": tenant})
        yield connection


# The transaction ends, and a failed commit shows, before the answer is sent.
Connection = Annotated[AsyncConnection, Depends(get_connection, scope="function")]


def _respond(body: bytes | None, status: int = 200, **headers: str) -> Response:
    if body is None:
        raise HTTPException(404)
    return Response(body, status, headers, "application/json")


@application.post("/api/v1/conversations/{conversation_id}/messages")
async def append_message(
    new: MessageIn, key: ConversationKey, connection: Connection, keyed: KeyedRequest
) -> Response:
    if keyed is not None:
        try:
            found = await answers.find_answer(connection, keyed)
        except Reused as error:
            raise HTTPException(422) from error
        except InUse as error:
            raise HTTPException(409) from error
        if found is not None:
            return _respond(found.body, found.status, **{"Idempotent-Replayed": "true"})
    body = await core.append(connection, key, new)
    if keyed is not None and body is not None:
        await answers.keep_answer(connection, keyed, key, body)
    return _respond(body, 201)


@application.get("/api/v1/conversations/{conversation_id}/messages")
async def list_messages(
    key: ConversationKey, connection: Connection, limit: Limit = 20
) -> Response:
    return _respond(await core.list_messages(connection, key, limit))


@application.get("/api/v1/conversations")
async def list_conversations(connection: Connection, limit: Limit = 20) -> Response:
    return _respond(await core.list_conversations(connection, limit))
