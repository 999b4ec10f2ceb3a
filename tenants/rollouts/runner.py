"""Carries work to schemas, several at a time, in stages: a canary, batches, late comers.

One schema's failure is its own: it is recorded, and the others go on until too many have failed.
Where a lock is in the way the schema is tried again after the others. Twice a second what was done
is written to the ledger, which renews the lease and tells whether somebody wants the run to stop.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import structlog

from tenants import errors
from tenants.apps import get_settings
from tenants.db.engine import create_owner_engine
from tenants.db.unit_of_work import describe_error
from tenants.models import RolloutStatus
from tenants.rollouts.events import Postponed, Tried, Watcher
from tenants.rollouts.fleet import read_stamps_of
from tenants.rollouts.ledger import Attempt, Lease, LeaseLost, keep_up
from tenants.rollouts.options import Options
from tenants.rollouts.plan import Stray, Work, plan_work
from tenants.rollouts.replay import Replayer, is_away, is_passing, is_unreachable
from tenants.rollouts.wire import Wire

log = structlog.get_logger(__name__)

_KEEP_UP_SECONDS = 0.5
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0


class Stopped(Exception):
    """The run ends before its end. status: what it is then. note: why, for people."""

    def __init__(self, status: RolloutStatus, note: str = "") -> None:
        super().__init__(note)
        self.status = status
        self.note = note


class Runner:
    """Does the work of one run.

    lease: None for a rehearsal, which leaves no trace. planned: how many schemas are meant.
    """

    def __init__(
        self,
        lease: Lease | None,
        options: Options,
        targets: dict[str, str | None],
        watch: Watcher,
        planned: int,
    ) -> None:
        self._lease = lease
        self._options = options
        self._targets = targets
        self._watch = watch
        self._stop: Stopped | LeaseLost | None = None
        self._finished = asyncio.Event()
        self._server_is_away = False
        self._unwritten: list[Attempt] = []
        self._replayers: list[Replayer] = []
        self.migrated = 0
        self.failed: set[UUID] = set()
        self._failure_limit = options.count_failures(planned)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Hold connections and the lease while the block runs; write down the rest at its end."""
        settings = get_settings()
        engine = create_owner_engine()
        self._replayers = [
            Replayer(Wire(settings), engine, self._options.lock_timeout_ms)
            for _ in range(self._options.concurrency)
        ]
        keeper = asyncio.create_task(self._keep_up())
        try:
            yield
        finally:
            self._finished.set()
            await keeper
            for replayer in self._replayers:
                await replayer.wire.close()
            await engine.dispose()

    async def run_stage(self, work: Sequence[Work]) -> None:
        """Carry these, each again where something passing was in the way.

        Raises Stopped, LeaseLost.
        """
        waiting = list(work)
        for tries in range(1, self._options.retries + 2):
            waiting = await self._try_all(waiting, tries)
            self._raise_if_stopped()
            if not waiting:
                break
            pause = min(_FIRST_PAUSE_SECONDS * 2**tries, _LONGEST_PAUSE_SECONDS)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # To meet nobody.
        await self._settle()

    def record_strays(self, strays: Sequence[Stray]) -> None:
        """Schemas to which nothing can be carried have failed."""
        for stray in strays:
            ref = stray.vessel.ref
            self._record(Attempt(ref.id, ref.slug, False, 0.0, error=stray.reason))

    async def _try_all(self, waiting: Sequence[Work], tries: int) -> list[Work]:
        """Try each once, while the server is there; return those that are worth another try."""
        self._server_is_away = False
        postponed: list[Work] = []
        queue = iter(waiting)
        async with asyncio.TaskGroup() as group:
            for replayer in self._replayers:
                group.create_task(self._work_off(queue, replayer, tries, postponed))
        return [*postponed, *queue]

    async def _work_off(
        self, queue: Iterator[Work], replayer: Replayer, tries: int, postponed: list[Work]
    ) -> None:
        for work in queue:
            if not await self._try(work, replayer, tries):
                postponed.append(work)
            if self._stop is not None or self._server_is_away:
                return

    async def _try(self, work: Work, replayer: Replayer, tries: int) -> bool:
        """Carry one schema; False if it is worth another try."""
        ref = work.vessel.ref
        started_at = time.perf_counter()
        error: Exception | None = None
        try:
            if tries > 1:  # The try before may have gone through before its connection was lost.
                stamps = await read_stamps_of(replayer.wire, ref)
                work = plan_work(replace(work.vessel, stamps=stamps), self._targets)
            if self._lease is None:
                await replayer.rehearse(ref, work.segments)
            else:
                for segment in work.segments:
                    await replayer.carry(ref, segment)
        except Exception as failure:  # Whatever a revision raises, the other schemas go on.
            error = failure
        reason = describe_error(error) if error else ""
        if error and is_passing(error) and tries <= self._options.retries:
            self._watch(Postponed(work.vessel.name, reason, tries))
            self._server_is_away = self._server_is_away or is_away(error)
            return False
        if error and is_unreachable(error):
            # It says nothing of this schema.
            self._stop = _cannot_reach(error)
            return True
        milliseconds = (time.perf_counter() - started_at) * 1000
        revisions = {} if error else work.revisions
        self._record(Attempt(ref.id, ref.slug, not error, milliseconds, revisions, reason, tries))
        return True

    async def _settle(self) -> None:
        try:
            await self._replayers[0].settle()
        except Exception as error:
            if not is_unreachable(error):
                raise
            raise _cannot_reach(error) from error

    def _record(self, attempt: Attempt) -> None:
        self._unwritten.append(attempt)
        if attempt.succeeded:
            self.migrated += 1
        else:
            self.failed.add(attempt.tenant_id)
            log.error("tenant.migration_failed", tenant=attempt.name, reason=attempt.error)
            if len(self.failed) >= self._failure_limit and self._stop is None:
                self._stop = Stopped(
                    RolloutStatus.FAILED, f"{len(self.failed)} failed, which is the limit."
                )
        self._watch(Tried(attempt))

    def _raise_if_stopped(self) -> None:
        if self._stop is not None:
            raise self._stop

    async def _keep_up(self) -> None:
        """Write down what was done, twice a second and at the end; stop the run without a lease."""
        lease_seconds = get_settings().rollout_lease_seconds
        pause = min(_KEEP_UP_SECONDS, lease_seconds / 4)
        held_at = time.monotonic()
        finished = False
        while self._lease is not None and not finished:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._finished.wait(), pause)
            finished = self._finished.is_set()
            try:
                await self._write_down()
                held_at = time.monotonic()
            except errors.DatabaseUnavailable:
                if time.monotonic() - held_at > lease_seconds:
                    self._stop = LeaseLost()
                    return
            except LeaseLost as lost:
                self._stop = lost
                return

    async def _write_down(self) -> None:
        if self._lease is None:
            return
        attempts, self._unwritten = self._unwritten, []
        try:
            cancelled = await keep_up(self._lease, attempts)
        except errors.DatabaseUnavailable:
            self._unwritten = attempts + self._unwritten
            raise
        if cancelled and self._stop is None:
            self._stop = Stopped(RolloutStatus.CANCELLED, "Somebody cancelled it.")


def _cannot_reach(error: BaseException) -> Stopped:
    note = f"The tenants' database can't be reached: {describe_error(error)}"
    return Stopped(RolloutStatus.FAILED, note)
