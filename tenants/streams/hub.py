"""Streams subscribe here, in memory; one watcher for each tenant looks at the table for all.

A stream holds no database connection while it waits. What wakes it is one short query for each
tenant with subscribers: at every interval, and at once after a write in this process or, where
notices arrive, in another. The query gives a signature of each topic that was subscribed to;
another signature than before wakes the topic's streams, which then read for themselves.
"""

import asyncio
import contextlib
import contextvars
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import structlog

from tenants.db import unit_of_work
from tenants.db.engine import get_settings
from tenants.errors import ApplicationError
from tenants.streams.notices import Notices
from tenants.streams.topic import Topic
from tenants.tenant import TenantRef

log = structlog.get_logger(__name__)
ResultT = TypeVar("ResultT")

# Gives the signatures of the named topics of one kind; None stands for one that is not there.
# The number says how many seconds ago the look before this one began: what was committed since
# must change a signature.
Look = Callable[[TenantRef, Sequence[str], float], Awaitable[Mapping[str, Hashable]]]

# What is said and not yet sent to a reader; beyond it the oldest is dropped.
_MAX_SAID = 256
_LOOKS_AT_ONCE = 2
# After a look that took long, waiting for its turn included, comes a longer pause: so many tenants
# and a slow database don't make looking the only thing that is done.
_PAUSE_FACTOR = 4.0
_MAX_PAUSE_SECONDS = 5.0
# However many writes there are, looks keep this distance.
_MIN_PAUSE_SECONDS = 0.01
# Of the pool's connections, those that streams may use at the same time.
_SHARE_OF_POOL = 0.3


class Subscription:
    """One stream's ear on a topic. It begins as changed, for what came before it."""

    def __init__(self, tenant: TenantRef, topic: Topic) -> None:
        self.tenant, self.topic = tenant, topic
        self.ended = False
        self._changed = True
        self._said: deque[bytes] = deque(maxlen=_MAX_SAID)
        self._wake = asyncio.Event()
        self._wake.set()

    async def wait(self, seconds: float) -> bool:
        """Whether there is something to do; False after so long a silence."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return False
        self._wake.clear()
        return True

    def take_change(self) -> bool:
        """Whether the topic may have changed since this was last asked."""
        changed, self._changed = self._changed, False
        return changed

    def take_said(self) -> list[bytes]:
        """What was said about the topic since this was last asked."""
        said = list(self._said)
        self._said.clear()
        return said

    def change(self) -> None:
        self._changed = True
        self._wake.set()

    def hear(self, content: bytes) -> None:
        self._said.append(content)
        self._wake.set()

    def end(self) -> None:
        self.ended = True
        self._wake.set()


class _Watched:
    """A topic with subscribers. signature: what the last look gave, unless there was none."""

    def __init__(self) -> None:
        self.subscriptions: set[Subscription] = set()
        self.looked_at = False
        self.signature: Hashable = None
        self.reads: dict[Hashable, asyncio.Task[Any]] = {}

    def compare(self, signature: Hashable) -> None:
        if self.looked_at and signature == self.signature:
            return
        self.looked_at, self.signature = True, signature
        # A read that is under way may have begun before the change.
        self.reads = {}
        for subscription in self.subscriptions:
            subscription.change()


class _Watcher:
    """Looks, for one tenant, at all topics with subscribers."""

    def __init__(self, hub: "Hub", tenant: TenantRef) -> None:
        self._hub = hub
        self.tenant = tenant
        self.topics: dict[Topic, _Watched] = {}
        self.poked = asyncio.Event()
        self.poked.set()
        self._looked_at = time.monotonic()
        # Not in the context of the request that came first, which its log lines would name.
        self.task = asyncio.create_task(
            self._keep_looking(), name="streams", context=contextvars.Context()
        )

    async def _keep_looking(self) -> None:
        pause = 0.0
        while self.topics:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self.poked.wait()
            self.poked.clear()
            if not self.topics:
                break
            began = time.monotonic()
            try:
                async with self._hub.looking:
                    await self._look()
            except ApplicationError as error:
                log.warning("streams.look_failed", code=error.code, reason=str(error.__cause__))
            except Exception:  # Whatever it is, its streams would never hear of anything.
                log.exception("streams.look_failed")
            await asyncio.sleep(_MIN_PAUSE_SECONDS)
            least, took = get_settings().stream_poll_seconds, time.monotonic() - began
            pause = max(least, min(took * _PAUSE_FACTOR, _MAX_PAUSE_SECONDS))

    async def _look(self) -> None:
        began = time.monotonic()
        names: dict[str, list[str]] = {}
        for topic in self.topics:
            names.setdefault(topic.kind, []).append(topic.name)
        for kind, wanted in names.items():
            found = await self._hub.looks[kind](self.tenant, wanted, began - self._looked_at)
            for name in wanted:
                if watched := self.topics.get(Topic(kind, name)):
                    watched.compare(found.get(name))
        self._looked_at = began


class Hub:
    """All subscriptions of a process. looks: by kind of topic, from the modules."""

    def __init__(self) -> None:
        self.looks: dict[str, Look] = {}
        self.looking = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._reading = asyncio.Semaphore(1)
        self._watchers: dict[UUID, _Watcher] = {}
        self._notices: Notices | None = None
        self._open = False

    def start(self) -> None:
        """Accept subscriptions, and begin to hear of writes."""
        settings = get_settings()
        self.looking = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._reading = asyncio.Semaphore(max(1, int(settings.pool_size * _SHARE_OF_POOL)))
        self._open = True
        unit_of_work.write_listeners.append(self._hear_of_write)
        if settings.stream_notices:
            self._notices = Notices(
                settings.runtime_url.get_secret_value(), on_write=self._poke, on_said=self._hear
            )
            self._notices.start()

    def close(self) -> None:
        """End all streams, and those that begin from now on at once."""
        self._open = False
        for subscription in self._all():
            subscription.end()

    async def stop(self) -> None:
        """Close, and give back what `start` took."""
        self.close()
        if self._hear_of_write in unit_of_work.write_listeners:
            unit_of_work.write_listeners.remove(self._hear_of_write)
        if self._notices is not None:
            await self._notices.stop()
            self._notices = None

    @contextlib.contextmanager
    def subscribe(self, tenant: TenantRef, topic: Topic) -> Iterator[Subscription]:
        """Hear of changes of a topic inside the block."""
        subscription = Subscription(tenant, topic)
        if not self._open:
            subscription.end()
            yield subscription
            return
        watcher = self._watchers.get(tenant.id)
        if watcher is None:
            watcher = self._watchers[tenant.id] = _Watcher(self, tenant)
        watched = watcher.topics.setdefault(topic, _Watched())
        watched.subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            watched.subscriptions.discard(subscription)
            if not watched.subscriptions:
                del watcher.topics[topic]
            if not watcher.topics:
                # It ends by itself: cut off in a look it would cost the connection.
                del self._watchers[tenant.id]
                watcher.poked.set()

    def say(self, tenant: TenantRef, topic: Topic, content: bytes) -> None:
        """Tell the topic's streams something that stands in no table, here and in other processes.

        content: JSON; what is too long for a notice stays in this process. It may get lost.
        """
        self._hear(tenant.id, topic, content)
        if self._notices is not None:
            self._notices.say(tenant.id, topic, content)

    async def read(
        self, subscription: Subscription, key: Hashable, read: Callable[[], Awaitable[ResultT]]
    ) -> ResultT:
        """What `read` gives; streams of one topic that ask for the same together share it.

        key: says of all streams of the topic what is read.
        """
        watcher = self._watchers.get(subscription.tenant.id)
        watched = watcher.topics.get(subscription.topic) if watcher else None
        reads = watched.reads if watched else {}
        task = reads.get(key)
        if task is None:
            task = reads[key] = asyncio.create_task(self.limit(read))
            task.add_done_callback(lambda done: _forget(reads, key, done))
        result: ResultT = await asyncio.shield(task)
        return result

    async def limit(self, read: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """What `read` gives, once streams use no more connections than they may."""
        async with self._reading:
            return await read()

    def _hear_of_write(self, tenant: TenantRef) -> None:
        self._poke(tenant.id)
        if self._notices is not None:
            self._notices.note_write(tenant.id)

    def _poke(self, tenant_id: UUID) -> None:
        if watcher := self._watchers.get(tenant_id):
            watcher.poked.set()

    def _hear(self, tenant_id: UUID, topic: Topic, content: bytes) -> None:
        watcher = self._watchers.get(tenant_id)
        if watcher and (watched := watcher.topics.get(topic)):
            for subscription in watched.subscriptions:
                subscription.hear(content)

    def _all(self) -> list[Subscription]:
        return [
            subscription
            for watcher in self._watchers.values()
            for watched in watcher.topics.values()
            for subscription in watched.subscriptions
        ]


def _forget(reads: dict[Hashable, Any], key: Hashable, task: asyncio.Task[Any]) -> None:
    if reads.get(key) is task:
        del reads[key]
    if not task.cancelled():
        task.exception()  # Seen, also where all who asked have gone.


hub = Hub()
