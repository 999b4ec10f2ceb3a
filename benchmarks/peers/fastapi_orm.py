"""FastAPI with the SQLAlchemy ORM, the usual way.

A session for each request from a dependency, which also enters the tenant; pydantic models for
what comes in and goes out.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Response
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.peers import answers, orm
from benchmarks.peers.fastapi_parts import ConversationKey, KeyedRequest, Limit, Tenant
from benchmarks.peers.repeats import InUse, Keyed, Reused
from benchmarks.peers.shapes import ConversationPage, MessageIn, MessageOut, MessagePage
from conversations.models import Message

_engine = orm.create_engine()
_sessions = orm.create_sessions(_engine)


@asynccontextmanager
async def _live(_application: FastAPI) -> AsyncIterator[None]:
    yield
    await _engine.dispose()


application = FastAPI(lifespan=_live)


async def get_session(tenant: Tenant) -> AsyncIterator[AsyncSession]:
    async with orm.enter(_sessions, tenant) as session:
        yield session


# The transaction ends, and a failed commit shows, before the answer is sent.
Session = Annotated[AsyncSession, Depends(get_session, scope="function")]


@application.post(
    "/api/v1/conversations/{conversation_id}/messages", status_code=201, response_model=MessageOut
)
async def append_message(
    new: MessageIn, key: ConversationKey, session: Session, keyed: KeyedRequest
) -> Message | Response:
    if keyed is not None:
        return await _append_once(session, key, new, keyed)
    message = await orm.append(session, key, new)
    if message is None:
        raise HTTPException(404)
    return message


async def _append_once(session: AsyncSession, key: UUID, new: MessageIn, keyed: Keyed) -> Response:
    try:
        found = await answers.find_answer(session, keyed)
    except Reused as error:
        raise HTTPException(422) from error
    except InUse as error:
        raise HTTPException(409) from error
    if found is not None:
        headers = {"Idempotent-Replayed": "true"}
        return Response(found.body, found.status, headers, "application/json")
    message = await orm.append(session, key, new)
    if message is None:
        raise HTTPException(404)
    body = MessageOut.model_validate(message).model_dump_json().encode()
    await answers.keep_answer(session, keyed, key, body)
    return Response(body, 201, media_type="application/json")


@application.get("/api/v1/conversations/{conversation_id}/messages", response_model=MessagePage)
async def list_messages(
    key: ConversationKey, session: Session, limit: Limit = 20
) -> dict[str, Any]:
    messages = await orm.list_messages(session, key, limit)
    if messages is None:
        raise HTTPException(404)
    return orm.show_page(messages, limit)


@application.get("/api/v1/conversations", response_model=ConversationPage)
async def list_conversations(session: Session, limit: Limit = 20) -> dict[str, Any]:
    return orm.show_conversations(await orm.list_conversations(session, limit), limit)
