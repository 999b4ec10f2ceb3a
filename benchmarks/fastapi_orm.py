"""FastAPI with the SQLAlchemy ORM, the usual way.

A session for each request from a dependency, which also enters the tenant; models loaded,
changed and flushed; `selectinload` for the tool calls; pydantic models for what comes in and
goes out. The models are the service's own. Content is text only here.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from fastapi import Depends, FastAPI, Header, HTTPException, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload

from benchmarks.stage import POOL_SIZE, Stage
from conversations.models import Conversation, Message, ToolCall
from tenants.ids import find_id, show_id

_stage = Stage.from_environment()
# The tenant's role and schema, which have one name, by the key's hash.
_tenants = {sha256(_stage.api_key.encode()).hexdigest(): _stage.schema}


_IS_KEPT = and_(
    Conversation.deleted_at.is_(None),
    or_(
        Conversation.retain_until.is_(None),
        Conversation.retain_until > func.now(),
        Conversation.legal_hold,
    ),
)


async def _connect() -> asyncpg.Connection:
    return await asyncpg.connect(_stage.runtime_url)


_engine = create_async_engine(
    "postgresql+asyncpg://", async_creator=_connect, pool_size=POOL_SIZE, max_overflow=0
)
_sessions = async_sessionmaker(_engine, expire_on_commit=False)


@asynccontextmanager
async def _live(_application: FastAPI) -> AsyncIterator[None]:
    yield
    await _engine.dispose()


application = FastAPI(lifespan=_live)


class ToolCallIn(BaseModel):
    call_id: str
    name: str
    arguments: dict[str, Any] = {}


class MessageIn(BaseModel):
    role: str
    content: str | None = None
    model: str | None = None
    token_count: int | None = None
    tool_calls: list[ToolCallIn] = []


def _shown(prefix: str) -> BeforeValidator:
    return BeforeValidator(lambda value: value and show_id(prefix, value))


class ToolCallOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: Annotated[str, _shown("call")]
    call_id: str
    name: str
    arguments: dict[str, Any]
    status: str
    error: str | None
    attempts: int
    deadline: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    output_message_id: Annotated[str | None, _shown("msg")]
    created_at: datetime
    updated_at: datetime


class Usage(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    input_tokens: int
    output_tokens: int
    cached_tokens: int
    reasoning_tokens: int


class MessageOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: Annotated[str, _shown("msg")]
    conversation_id: Annotated[str, _shown("conv")]
    seq: int
    role: str
    kind: str
    status: str
    content: Annotated[str | None, Field(validation_alias="text")]
    call_id: str | None
    external_id: str | None
    model: str | None
    token_count: int | None
    # Of messages that have none, as all do here.
    usage: Usage | None = None
    cost: Decimal | None
    tool_calls: list[ToolCallOut]
    created_at: datetime


class PageOut(BaseModel):
    data: list[MessageOut]
    has_more: bool
    next_cursor: str | None = None


async def get_session(authorization: Annotated[str, Header()]) -> AsyncIterator[AsyncSession]:
    key = authorization.removeprefix("Bearer ")
    tenant = _tenants.get(sha256(key.encode()).hexdigest())
    if tenant is None:
        raise HTTPException(401)
    async with _sessions() as session, session.begin():
        await session.execute(
            text("SELECT set_config('role', :name, true), set_config('search_path', :name, true)"),
            {"name": tenant},
        )
        yield session


# The transaction ends, and a failed commit shows, before the answer is sent.
Session = Annotated[AsyncSession, Depends(get_session, scope="function")]


def get_key(conversation_id: str) -> UUID:
    key = find_id("conv", conversation_id)
    if key is None:
        raise HTTPException(404)
    return key


ConversationKey = Annotated[UUID, Depends(get_key)]


@application.post(
    "/api/v1/conversations/{conversation_id}/messages", status_code=201, response_model=MessageOut
)
async def append_message(new: MessageIn, key: ConversationKey, session: Session) -> Message:
    conversation = await session.scalar(
        select(Conversation)
        .where(Conversation.id == key, Conversation.status == "active", _IS_KEPT)
        .with_for_update()
    )
    if conversation is None:
        raise HTTPException(404)
    now = datetime.now(UTC)
    conversation.last_seq += 1
    conversation.version += 1
    conversation.message_count += 1
    conversation.token_count += new.token_count or 0
    conversation.tool_call_count += len(new.tool_calls)
    conversation.preview = new.content[:200] if new.content else conversation.preview
    conversation.last_activity_at = now
    message = Message(
        conversation_id=key,
        seq=conversation.last_seq,
        role=new.role,
        kind="message",
        status="completed",
        text=new.content,
        call_id=None,
        external_id=None,
        model=new.model,
        token_count=new.token_count,
        cost=None,
        created_at=now,
        tool_calls=[
            ToolCall(
                conversation_id=key,
                index=index,
                call_id=call.call_id,
                name=call.name,
                arguments=call.arguments,
                status="requested",
                error=None,
                attempts=0,
                deadline=None,
                decided_by=None,
                decided_at=None,
                reason=None,
                output_message_id=None,
                created_at=now,
                updated_at=now,
            )
            for index, call in enumerate(new.tool_calls)
        ],
    )
    session.add(message)
    await session.flush()
    return message


@application.get("/api/v1/conversations/{conversation_id}/messages", response_model=PageOut)
async def list_messages(
    key: ConversationKey, session: Session, limit: Annotated[int, Query(ge=1, le=100)] = 20
) -> dict[str, Any]:
    conversation = await session.scalar(
        select(Conversation).where(Conversation.id == key, _IS_KEPT)
    )
    if conversation is None:
        raise HTTPException(404)
    rows = await session.scalars(
        select(Message)
        .where(Message.conversation_id == key, Message.deleted_at.is_(None))
        .order_by(Message.seq)
        .limit(limit + 1)
        .options(selectinload(Message.tool_calls))
    )
    messages = rows.all()
    return {"data": messages[:limit], "has_more": len(messages) > limit}
