"""Erasing for good: a conversation, or everything of an end user, with a receipt.

First what is to be erased is claimed: it is hidden from then on, nothing is added to it, and
nothing brings it back. Then it goes in batches, each a short transaction that also writes its
counts into the receipt. So an erasure can be cut off anywhere and carried on by anybody. None of it
holds a session while a storage removes bytes, which go before their rows do.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from conversations import errors, repository, schemas
from conversations.schemas import CONVERSATION_PREFIX, ERASURE_PREFIX
from conversations.service.keys import conversation_key
from conversations.settings import get_settings
from tenants.db.pagination import Page, decode_cursor, make_page
from tenants.db.unit_of_work import ReadSession, WriteSession, read_session, write_session
from tenants.files import FileStore
from tenants.ids import find_id, new_id, show_id
from tenants.tenant import TenantRef

OwnerT = TypeVar("OwnerT")
BATCH = 1000
_FILES = 100
_KEPT = 1000
# So long a request works on an erasure before it leaves the rest to a job.
PATIENCE_SECONDS = 3.0
BY_RETENTION = "retention"
_BEYOND_ANY_ID = UUID(int=2**128 - 1)


async def begin_conversation_erasure(
    session: WriteSession, conversation_id: str, requested_by: str
) -> schemas.Erasure:
    """Claim a conversation, deleted or not. Begun before, that receipt is the answer.

    Raises ConversationNotFound (404), LegalHold (409).
    """
    key, now = conversation_key(conversation_id), datetime.now(UTC)
    await _lock(session, "conversation", conversation_id)
    if await repository.claim_conversation(session, key, now):
        return await _insert(session, "conversation", conversation_id, requested_by, now)
    if await repository.is_held(session, key):
        raise errors.LegalHold
    before = await repository.find_last_erasure(session, "conversation", conversation_id)
    if before is None:
        raise errors.ConversationNotFound
    return before


async def begin_user_erasure(
    session: WriteSession, user_id: str, requested_by: str
) -> schemas.Erasure:
    """Begin to erase everything of an end user; what is under legal hold is kept and named.

    What has been begun before, or has left nothing to erase, is answered with that receipt.
    Raises UserNotFound (404) if there is nothing and never was.
    """
    await _lock(session, "user", user_id)
    before = await repository.find_last_erasure(session, "user", user_id)
    if before is not None and before["status"] == "running":
        return before
    if await repository.is_user(session, user_id):
        now = datetime.now(UTC)
        kept = await repository.list_held_family(session, user_id, _KEPT)
        return await _insert(session, "user", user_id, requested_by, now, kept)
    if before is None:
        raise errors.UserNotFound
    return before


async def begin_due_erasure(session: WriteSession) -> schemas.Erasure | None:
    """Claim a conversation past its end, or its time to be restored; None if there is none."""
    now = datetime.now(UTC)
    deleted_before = now - timedelta(days=get_settings().undo_days)
    key = await repository.claim_due(session, deleted_before=deleted_before, now=now)
    if key is None:
        return None
    shown = show_id(CONVERSATION_PREFIX, key)
    return await _insert(session, "conversation", shown, BY_RETENTION, now)


async def carry_on(
    tenant: TenantRef, files: FileStore, erasure: schemas.Erasure, seconds: float = PATIENCE_SECONDS
) -> schemas.Erasure:
    """Erase what a receipt is for, until it is done or so many seconds have passed.

    Returns the receipt as it is then. Raises FileStoreUnavailable (503); all of it can be repeated.
    """
    key = _erasure_key(erasure["id"])
    if erasure["status"] == "completed":
        return erasure
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    async with aclosing(_erase(tenant, files, key, erasure)) as batches:
        async for _ in batches:
            if clock() > end:
                async with read_session(tenant) as session:
                    return await get_erasure(session, erasure["id"])
    async with write_session(tenant) as session:
        return await repository.complete_erasure(session, key, datetime.now(UTC))


async def get_erasure(session: ReadSession, erasure_id: str) -> schemas.Erasure:
    """Raises ErasureNotFound (404)."""
    erasure = await repository.find_erasure(session, _erasure_key(erasure_id))
    if erasure is None:
        raise errors.ErasureNotFound
    return erasure


async def list_erasures(session: ReadSession, query: schemas.ErasureQuery) -> Page[schemas.Erasure]:
    """A page of receipts, the newest first. Raises InvalidCursor (400)."""
    filters = query.model_dump(include={"kind", "subject"})
    listing = ["erasures", filters]
    before = _BEYOND_ANY_ID
    if query.after is not None:
        (before,) = decode_cursor(session.tenant, listing, query.after, [UUID])
    erasures = await repository.list_erasures(
        session, filters, before=before, limit=query.limit + 1
    )
    positions = [(_erasure_key(each["id"]),) for each in erasures]
    return make_page(session.tenant, listing, erasures, positions, query.limit)


async def list_unfinished(session: ReadSession, limit: int) -> list[schemas.Erasure]:
    """Up to `limit` that nobody is likely to be at, the oldest first."""
    before = datetime.now(UTC) - timedelta(seconds=10 * PATIENCE_SECONDS)
    return await repository.list_open_erasures(session, created_before=before, limit=limit)


async def _erase(
    tenant: TenantRef, files: FileStore, key: UUID, erasure: schemas.Erasure
) -> AsyncGenerator[None, None]:
    """Does a batch at each step."""
    if erasure["kind"] == "conversation":
        conversation = conversation_key(erasure["subject"])
        async for _ in _erase_conversation(tenant, files, key, conversation):
            yield
        return
    user_id = erasure["subject"]
    claimed = BATCH
    while claimed == BATCH:
        async with write_session(tenant) as session:
            now = datetime.now(UTC)
            claimed = await repository.claim_family(session, user_id, now, BATCH)
        yield
    while True:
        async with read_session(tenant) as session:
            conversations = await repository.list_claimed_family(session, user_id, BATCH)
        if not conversations:
            break
        for conversation in conversations:
            async for _ in _erase_conversation(tenant, files, key, conversation):
                yield
    async for _ in _erase_files(tenant, files, key, user_id):
        yield
    erase = repository.erase_feedback_of
    async for _ in _erase_batches(tenant, key, "feedback", erase, user_id):
        yield


async def _erase_conversation(
    tenant: TenantRef, files: FileStore, key: UUID, conversation: UUID
) -> AsyncGenerator[None, None]:
    erase = repository.erase_messages
    async for _ in _erase_batches(tenant, key, "messages", erase, conversation):
        yield
    async for _ in _erase_files(tenant, files, key, conversation):
        yield
    async with write_session(tenant) as session:
        await repository.reconnect_branches(session, conversation)
        counts = await repository.erase_conversation(session, conversation)
        await repository.add_removed(session, key, counts)
    yield


async def _erase_batches(
    tenant: TenantRef,
    key: UUID,
    kind: str,
    erase: Callable[[WriteSession, OwnerT, int], Awaitable[dict[str, int]]],
    owner: OwnerT,
) -> AsyncGenerator[None, None]:
    """erase: removes so many of this kind that the owner has; returns the counts of what went."""
    removed = BATCH
    while removed == BATCH:
        async with write_session(tenant) as session:
            counts = await erase(session, owner, BATCH)
            await repository.add_removed(session, key, counts)
        removed = counts[kind]
        yield


async def _erase_files(
    tenant: TenantRef, files: FileStore, key: UUID, owner: UUID | str
) -> AsyncGenerator[None, None]:
    """owner: a conversation, or an end user."""
    while True:
        async with read_session(tenant) as session:
            found = (
                await repository.list_files_in(session, owner, _FILES)
                if isinstance(owner, UUID)
                else await repository.list_files_of(session, owner, _FILES)
            )
        if not found:
            return
        for _, storage_name in found:
            await files.delete(storage_name)
        async with write_session(tenant) as session:
            counts = await repository.erase_attachments(session, [each for each, _ in found])
            await repository.add_removed(session, key, counts)
        yield


async def _insert(
    session: WriteSession,
    kind: schemas.ErasureKind,
    subject: str,
    requested_by: str,
    now: datetime,
    kept: list[str] | None = None,
) -> schemas.Erasure:
    values = {
        "id": new_id(),
        "kind": kind,
        "subject": subject,
        "requested_by": requested_by,
        "removed": {"kept": kept or []},
        "created_at": now,
    }
    return await repository.insert_erasure(session, values)


async def _lock(session: WriteSession, kind: str, subject: str) -> None:
    """Let nobody else begin to erase the same until the transaction ends."""
    name = f"{session.tenant.schema}/erase/{kind}/{subject}".encode()
    digest = hashlib.blake2b(name, digest_size=8).digest()
    await repository.lock_subject(session, int.from_bytes(digest, signed=True))


def _erasure_key(erasure_id: str) -> UUID:
    key = find_id(ERASURE_PREFIX, erasure_id)
    if key is None:
        raise errors.ErasureNotFound
    return key
