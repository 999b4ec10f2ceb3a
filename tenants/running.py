"""The requests that this process is answering: counted by tenant, and ended when they must be.

When the registry changes, whoever is being answered is asked for its pass again: a suspended
tenant's requests and streams end, and so do those of a revoked key.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from tenants.errors import (
    ApplicationError,
    DatabaseUnavailable,
    TooManyRequests,
    TooManyStreams,
)
from tenants.limits import Limits

log = structlog.get_logger(__name__)


class RunningRequest:
    """One request, answered by `task`. ended_by: why it was ended before its answer was whole."""

    def __init__(self, task: asyncio.Task[object]) -> None:
        self.task = task
        self.tenant_id: UUID | None = None
        self.limits = Limits()
        self.is_stream = False
        self.check_again: Callable[[], Awaitable[object]] | None = None
        self.ended_by: ApplicationError | None = None

    def end(self, reason: ApplicationError) -> None:
        self.ended_by = reason
        self.task.cancel()


class RunningRequests:
    """All requests of a process."""

    def __init__(self) -> None:
        self._all: set[RunningRequest] = set()
        self._by_tenant: Counter[UUID] = Counter()
        self._streams: Counter[UUID] = Counter()

    def enter(self, task: asyncio.Task[object]) -> RunningRequest:
        request = RunningRequest(task)
        self._all.add(request)
        return request

    def admit(
        self,
        request: RunningRequest,
        tenant_id: UUID | None,
        limits: Limits,
        check_again: Callable[[], Awaitable[object]],
    ) -> None:
        """Count a request for its tenant, if it has one, and remember how to authenticate it.

        check_again: raises an ApplicationError when the caller is not let in any more.
        Raises TooManyRequests (429) if as many of the tenant's are running as it may have.
        """
        if request.check_again is not None:
            return  # Admitted; this is the check that was meant.
        limit = limits.concurrent_requests
        if tenant_id is not None:
            if limit is not None and self._by_tenant[tenant_id] >= limit:
                raise TooManyRequests(limit)
            self._by_tenant[tenant_id] += 1
        request.tenant_id, request.check_again = tenant_id, check_again
        request.limits = limits

    def become_stream(self, request: RunningRequest, default_limit: int) -> None:
        """Count an admitted request among its tenant's streams, and no longer its requests.

        default_limit: of streams, where the tenant has no limit.
        Raises TooManyStreams (429) if as many are open as there may be.
        """
        tenant_id = request.tenant_id
        assert tenant_id is not None
        limit = request.limits.concurrent_streams or default_limit
        if self._streams[tenant_id] >= limit:
            raise TooManyStreams(limit)
        _count_down(self._by_tenant, tenant_id)
        self._streams[tenant_id] += 1
        request.is_stream = True

    def leave(self, request: RunningRequest) -> None:
        self._all.discard(request)
        # The check leads back to the request: a circle, which only the garbage collector would
        # find. It may be under way, and must not admit the request anew.
        request.check_again = _has_left
        if request.tenant_id is not None:
            _count_down(self._streams if request.is_stream else self._by_tenant, request.tenant_id)

    async def check_all(self) -> None:
        """End the requests whose callers are not let in any more."""
        for request in list(self._all):
            if request.check_again is None:
                continue  # It has yet to be authenticated.
            try:
                await request.check_again()
            except DatabaseUnavailable:
                continue  # Nothing is known against it.
            except ApplicationError as reason:
                if request in self._all:
                    log.info("request.ended", code=reason.code)
                    request.end(reason)


async def _has_left() -> None:
    """The check of a request that has been answered."""


def _count_down(counter: Counter[UUID], tenant_id: UUID) -> None:
    counter[tenant_id] -= 1
    if not counter[tenant_id]:
        del counter[tenant_id]


running = RunningRequests()
