"""What the module does for a tenant from time to time; each run opens sessions of its own.

`module.py` hands the files of a tenant to those that need them.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog

from conversations import service
from tenants.db.unit_of_work import WriteSession, read_session, write_session
from tenants.errors import ApplicationError
from tenants.files import FileStore
from tenants.tenant import TenantRef

log = structlog.get_logger(__name__)

_CALLS = 100
# A tenant with more overdue calls than these batches hold has to wait for the next run.
_BATCHES = 10
FilesOf = Callable[[TenantRef], FileStore]

# A run leaves the rest to the next one after so many seconds; the engine cuts it off later.
_RUN_SECONDS = 30.0
_UNFINISHED = 100
# An upload whose bytes are there and whose row isn't may be under way for as long.
_STRAY_AFTER = timedelta(hours=1)
_NAMES = 1000
_ANSWERS = 1000


async def expire_calls(tenant: TenantRef) -> int:
    """Expire overdue tool calls, each conversation's in a transaction of its own.

    Where nothing is overdue, it costs one look into an index. One conversation that fails does not
    keep the others from it. Returns how many calls have expired; raises the last failure.
    """
    now, after = datetime.now(UTC), service.FIRST_OVERDUE
    expired, failure = 0, None
    for _ in range(_BATCHES):
        async with read_session(tenant) as session:
            overdue = await service.list_overdue(session, now, after, _CALLS)
        for conversation_id in dict.fromkeys(each[2] for each in overdue):
            try:
                expired += await _expire_in(tenant, conversation_id, now)
            except ApplicationError as error:
                log.warning("calls.not_expired", tenant=tenant.slug, reason=str(error))
                failure = error
        if len(overdue) < _CALLS:
            break
        after = overdue[-1][:2]
    if failure is not None:
        raise failure
    return expired


async def _expire_in(tenant: TenantRef, conversation_id: UUID, now: datetime) -> int:
    async with write_session(tenant) as session:
        return await service.expire_calls(session, conversation_id, now)


async def forget_answers(tenant: TenantRef) -> int:
    """Forget the answers to requests that are older than they are kept. Returns how many."""
    forgotten = 0
    while True:
        async with write_session(tenant) as session:
            count = await service.forget_answered_requests(session, _ANSWERS)
        forgotten += count
        if count < _ANSWERS:
            return forgotten


async def reindex_messages(tenant: TenantRef) -> int:
    """Index messages anew whose conversation has been given another language. Returns how many."""
    clock = asyncio.get_running_loop().time
    end = clock() + _RUN_SECONDS
    reindexed = 0
    while clock() < end:
        async with write_session(tenant) as session:
            changed = await service.reindex_messages(session)
        if changed is None:
            break
        reindexed += changed
    return reindexed


async def erase_due(files_of: FilesOf, tenant: TenantRef) -> int:
    """Erase conversations past their end or their time to be restored. Returns how many."""
    clock = asyncio.get_running_loop().time
    end = clock() + _RUN_SECONDS
    done = 0
    while (left := end - clock()) > 0:
        async with write_session(tenant) as session:
            erasure = await service.begin_due_erasure(session)
        if erasure is None:
            break
        erasure = await service.carry_on(tenant, files_of(tenant), erasure, left)
        done += erasure["status"] == "completed"
    return done


async def finish_erasures(files_of: FilesOf, tenant: TenantRef) -> int:
    """Carry on erasures that were cut off, or took longer than a request may. Returns how many are
    done now."""
    async with read_session(tenant) as session:
        waiting = await service.list_unfinished(session, _UNFINISHED)
    clock = asyncio.get_running_loop().time
    end = clock() + _RUN_SECONDS
    done = 0
    for begun in waiting:
        if (left := end - clock()) <= 0:
            break
        erasure = await service.carry_on(tenant, files_of(tenant), begun, left)
        done += erasure["status"] == "completed"
    return done


async def remove_stray_files(files_of: FilesOf, tenant: TenantRef) -> int:
    """Remove bytes that no attachment has, as a crash between the two leaves them. Returns how
    many."""
    files = files_of(tenant)
    before = datetime.now(UTC) - _STRAY_AFTER
    old = [name for name in await files.list_names() if _is_older(name, before)]
    removed = 0
    for start in range(0, len(old), _NAMES):
        names = old[start : start + _NAMES]
        async with read_session(tenant) as session:
            strays = await service.find_strays(session, names)
        for name in strays:
            await files.delete(name)
        removed += len(strays)
    return removed


async def remove_files(files_of: FilesOf, session: WriteSession) -> None:
    """Remove all bytes of a tenant that is about to be erased."""
    await files_of(session.tenant).delete_all()


def _is_older(name: str, moment: datetime) -> bool:
    """Whether a name of ours was made before a moment: it begins with an id, and that with the
    time. Source: RFC 9562, section 5.7."""
    try:
        made = UUID(hex=name[:32]).int >> 80
    except ValueError:
        return False
    return made < moment.timestamp() * 1000
