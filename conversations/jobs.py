"""What the module does for a tenant from time to time; each run opens sessions of its own."""

from datetime import UTC, datetime
from uuid import UUID

import structlog

from conversations import service
from tenants.db.unit_of_work import read_session, write_session
from tenants.errors import ApplicationError
from tenants.tenant import TenantRef

log = structlog.get_logger(__name__)

_CALLS = 100
# A tenant with more overdue calls than these batches hold has to wait for the next run.
_BATCHES = 10


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
