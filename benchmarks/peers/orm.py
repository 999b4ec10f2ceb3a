"""The data layer with SQLAlchemy's ORM, the usual way, for the frameworks that stand on it.

Models loaded, changed and flushed; `selectinload` for the tool calls; a statement of its own that
enters the tenant. The models are the service's.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select, text
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import selectinload

from benchmarks.peers.cursor import encode_cursor
from benchmarks.peers.place import connect
from benchmarks.peers.shapes import MessageIn
from benchmarks.stage import POOL_SIZE
from conversations.models import Conversation, Message, ToolCall

_IS_KEPT = and_(
    Conversation.deleted_at.is_(None),
    Conversation.status != "deleted",
    or_(
        Conversation.retain_until.is_(None),
        Conversation.retain_until > func.now(),
        Conversation.legal_hold,
    ),
)


def create_engine(**options: Any) -> AsyncEngine:
    async def open_connection(**_: Any) -> Any:
        return await connect()

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=open_connection,
        pool_size=POOL_SIZE,
        max_overflow=0,
        **options,
    )


def create_sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def enter(
    sessions: async_sessionmaker[AsyncSession], schema: str
) -> AsyncIterator[AsyncSession]:
    """A session in one transaction, in a tenant's role and schema."""
    async with sessions() as session, session.begin():
        await session.execute(
            text("SELECT set_config('role', :name, true), set_config('search_path', :name, true)"),
            {"name": schema},
        )
        yield session


async def append(session: AsyncSession, conversation_id: UUID, new: MessageIn) -> Message | None:
    """None if there is no such conversation to append to."""
    conversation = await session.scalar(
        select(Conversation)
        .where(Conversation.id == conversation_id, Conversation.status == "active", _IS_KEPT)
        .with_for_update()
    )
    if conversation is None:
        return None
    now = datetime.now(UTC)
    conversation.last_seq += 1
    conversation.version += 1
    conversation.message_count += 1
    conversation.token_count += new.token_count or 0
    conversation.tool_call_count += len(new.tool_calls)
    conversation.preview = new.content[:200] if new.content else conversation.preview
    conversation.last_activity_at = now
    message = Message(
        conversation_id=conversation_id,
        seq=conversation.last_seq,
        role=new.role,
        kind="message",
        status="completed",
        text=new.content,
        language=conversation.language,
        call_id=None,
        external_id=None,
        model=new.model,
        token_count=new.token_count,
        cost=None,
        created_at=now,
        tool_calls=[
            ToolCall(
                conversation_id=conversation_id,
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


async def list_messages(
    session: AsyncSession, conversation_id: UUID, limit: int
) -> Sequence[Message] | None:
    """Up to one more than the limit; None if there is no such conversation."""
    conversation = await session.scalar(
        select(Conversation).where(Conversation.id == conversation_id, _IS_KEPT)
    )
    if conversation is None:
        return None
    rows = await session.scalars(
        select(Message)
        .where(Message.conversation_id == conversation_id, Message.deleted_at.is_(None))
        .order_by(Message.seq)
        .limit(limit + 1)
        .options(selectinload(Message.tool_calls.and_(ToolCall.deleted_at.is_(None))))
    )
    return rows.all()


async def list_conversations(session: AsyncSession, limit: int) -> Sequence[Conversation]:
    """Up to one more than the limit, those with the newest activity first."""
    rows = await session.scalars(
        select(Conversation)
        .where(_IS_KEPT)
        .order_by(Conversation.last_activity_at.desc(), Conversation.id.desc())
        .limit(limit + 1)
    )
    return rows.all()


def show_page(items: Sequence[Any], limit: int) -> dict[str, Any]:
    return {"data": items[:limit], "has_more": len(items) > limit, "next_cursor": None}


def show_conversations(items: Sequence[Conversation], limit: int) -> dict[str, Any]:
    cursor = None
    if len(items) > limit:
        last = items[limit - 1]
        cursor = encode_cursor(last.last_activity_at, last.id)
    return {**show_page(items, limit), "next_cursor": cursor}
