"""What the module does for a tenant from time to time; each run opens sessions of its own.

`module.py` hands the files of a tenant to those that need them.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from conversations import service
from tenants.db.unit_of_work import WriteSession, read_session, write_session
from tenants.files import FileStore
from tenants.tenant import TenantRef

FilesOf = Callable[[TenantRef], FileStore]

# A run leaves the rest to the next one after so many seconds; the engine cuts it off later.
_RUN_SECONDS = 30.0
_UNFINISHED = 100
# An upload whose bytes are there and whose row isn't may be under way for as long.
_STRAY_AFTER = timedelta(hours=1)
_NAMES = 1000


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
