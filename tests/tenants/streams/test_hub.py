"""One watcher for each tenant, whatever the number of its streams."""

import asyncio
from collections import Counter

import pytest

from tenants.errors import DatabaseUnavailable
from tenants.ids import new_id
from tenants.streams import Topic
from tenants.streams.hub import Hub
from tenants.tenant import TenantRef
from tests.tenants.test_running import until

TENANT, OTHER = TenantRef(new_id(), "one"), TenantRef(new_id(), "other")
A, B = Topic("thing", "a"), Topic("thing", "b")


class Things:
    """A table: a number for each thing, and the looks that there were."""

    def __init__(self):
        self.numbers = Counter()
        self.looks = []
        self.fails = False

    async def look(self, tenant, names, seconds):
        self.looks.append((tenant.slug, sorted(names), seconds))
        if self.fails:
            raise DatabaseUnavailable
        return {name: self.numbers[tenant.slug, name] for name in names}


@pytest.fixture
def things():
    return Things()


@pytest.fixture
async def hub(with_settings, things):
    with_settings(stream_poll_seconds=0.05, stream_notices=False)
    hub = Hub()
    hub.looks["thing"] = things.look
    hub.start()
    yield hub
    await hub.stop()


async def settle(*subscriptions):
    """Wait until the first look has been, and take what it brought."""
    await asyncio.sleep(0.2)
    for subscription in subscriptions:
        subscription.take_change()


async def test_one_query_looks_for_all_subscribers_of_a_tenant(hub, things):
    with (
        hub.subscribe(TENANT, A) as first,
        hub.subscribe(TENANT, A) as second,
        hub.subscribe(TENANT, B) as third,
        hub.subscribe(OTHER, A) as fourth,
    ):
        await settle(first, second, third, fourth)
        assert {(slug, tuple(names)) for slug, names, _ in things.looks} == {
            ("one", ("a", "b")),
            ("other", ("a",)),
        }

        things.numbers["one", "a"] += 1
        await until(first.take_change)

        assert second.take_change()
        assert not third.take_change()
        assert not fourth.take_change()
    looks = len(things.looks)
    await asyncio.sleep(0.2)
    assert len(things.looks) == looks


async def test_a_write_here_is_seen_at_once(hub, things, with_settings):
    with_settings(stream_poll_seconds=60)
    with hub.subscribe(TENANT, A) as ours, hub.subscribe(OTHER, A) as theirs:
        await settle(ours, theirs)
        looks = len(things.looks)
        await asyncio.sleep(0.2)
        assert len(things.looks) <= looks + 2

        things.numbers["one", "a"] += 1
        hub._hear_of_write(TENANT)

        await until(ours.take_change, 0.5)
        assert things.looks[-1][0] == "one"


async def test_a_look_that_fails_is_made_up_for(hub, things):
    with hub.subscribe(TENANT, A) as subscription:
        await settle(subscription)
        things.fails = True
        await asyncio.sleep(0.3)
        things.numbers["one", "a"] += 1
        things.fails = False
        await until(subscription.take_change)
    # It asks for all that has been since the last look that succeeded.
    assert max(seconds for _, _, seconds in things.looks) > 0.2


async def test_streams_that_want_the_same_share_a_read(hub, things):
    reads = []

    async def read():
        reads.append(None)
        await asyncio.sleep(0.05)
        return len(reads)

    with hub.subscribe(TENANT, A) as first, hub.subscribe(TENANT, A) as second:
        await settle(first, second)
        together = await asyncio.gather(*(hub.read(each, 5, read) for each in (first, second)))
        assert together == [1, 1]

        # One that began before a change is no answer to who asks after it.
        early = asyncio.create_task(hub.read(first, 5, read))
        await asyncio.sleep(0.01)
        things.numbers["one", "a"] += 1
        hub._hear_of_write(TENANT)
        await asyncio.sleep(0.02)
        assert (await hub.read(second, 5, read), await early) == (3, 3)
        assert len(reads) == 3


async def test_a_reader_that_leaves_takes_no_others_read_along(hub):
    async def read():
        await asyncio.sleep(0.05)
        return "read"

    with hub.subscribe(TENANT, A) as first, hub.subscribe(TENANT, A) as second:
        leaving = asyncio.create_task(hub.read(first, 1, read))
        staying = asyncio.create_task(hub.read(second, 1, read))
        await asyncio.sleep(0.01)
        leaving.cancel()
        assert await staying == "read"


async def test_a_hub_that_is_closed_ends_its_subscriptions(hub):
    with hub.subscribe(TENANT, A) as subscription:
        hub.close()
        assert subscription.ended
        with hub.subscribe(TENANT, A) as late:
            assert late.ended
            assert await late.wait(0.1)
