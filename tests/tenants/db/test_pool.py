"""Connections, handed out and taken back."""

import asyncio
import random

import pytest
from sqlalchemy import exc, func, select, text

from tenants.apps import get_settings
from tenants.db import engine
from tenants.db.engine import create_runtime_pool
from tenants.db.statement import CompiledStatement
from tenants.db.transaction import ScopedTransaction

BACKEND = CompiledStatement(select(func.pg_backend_pid().label("pid")))
PREPARED = CompiledStatement(
    text(
        "SELECT statement, generic_plans, custom_plans FROM pg_prepared_statements"
        " WHERE statement LIKE 'SELECT pg_backend_pid%'"
    ),
    is_shared=True,
)


async def run(pool, tenant, statement):
    transaction = await ScopedTransaction.open(pool, tenant, read_only=True)
    try:
        return await transaction.fetch(statement, {})
    finally:
        await transaction.close()


@pytest.fixture
async def make_pool():
    pools = []

    def make(**changes):
        pools.append(create_runtime_pool(get_settings().model_copy(update=changes)))
        return pools[-1]

    yield make
    for pool in pools:
        for held in list(pool._busy):
            pool.give_back(held)
        await pool.close()


async def test_the_connection_that_was_used_last_is_handed_out_first(make_pool):
    pool = make_pool(pool_size=3)
    first, second = await pool.take(), await pool.take()
    pool.give_back(first)
    pool.give_back(second)
    async with pool.lend() as connection:
        assert connection is second
    assert (pool.state.in_use, pool.state.size) == (0, 3)


async def test_whoever_waits_longest_gets_the_next_one(make_pool):
    pool = make_pool(pool_size=1)
    order = []

    async def use(number):
        async with pool.lend():
            order.append(number)
            await asyncio.sleep(0)

    held = await pool.take()
    waiting = []
    for number in range(5):
        waiting.append(asyncio.create_task(use(number)))
        await asyncio.sleep(0)
    assert pool.state.waiting == 5
    waiting.pop(2).cancel()
    pool.give_back(held)
    await asyncio.wait(waiting, timeout=5)
    assert order == [0, 1, 3, 4]
    assert (pool.state.in_use, pool.state.waiting) == (0, 0)


async def test_whoever_goes_with_a_place_in_hand_leaves_it_to_the_next(make_pool):
    pool = make_pool(pool_size=1)
    held = await pool.take()
    gone, next_ = asyncio.create_task(pool.take()), asyncio.create_task(pool.take())
    await asyncio.sleep(0)
    pool.give_back(held)
    gone.cancel()
    async with asyncio.timeout(5):
        assert await next_ is held
    assert gone.cancelled()
    assert (pool.state.in_use, pool.state.waiting) == (1, 0)
    pool.give_back(held)
    assert pool.state.in_use == 0


async def test_to_wait_in_vain_is_an_error_and_takes_no_room(make_pool):
    pool = make_pool(pool_size=1, pool_timeout_seconds=0.05)
    held = await pool.take()
    with pytest.raises(exc.TimeoutError):
        await pool.take()
    pool.give_back(held)
    async with pool.lend() as connection:
        assert connection is held


async def test_a_connection_that_can_not_be_opened_takes_no_room(make_pool):
    nowhere = get_settings().runtime_url.__class__("postgresql://nobody@localhost:1/none")
    pool = make_pool(pool_size=1, runtime_url=nowhere)
    for _ in range(3):
        with pytest.raises((OSError, exc.DBAPIError)):
            await pool.take()
    assert pool.state.in_use == 0


async def test_an_old_connection_is_replaced(make_pool):
    pool = make_pool(pool_size=1, pool_recycle_seconds=0.0)
    async with pool.lend() as first:
        pass
    assert first.driver.is_closed()
    async with pool.lend() as second:
        assert second is not first


async def test_a_connection_that_has_served_many_tenants_is_replaced(make_pool, fleet):
    pool = make_pool(pool_size=1, pool_recycle_tenants=2)
    backends = []
    for tenant in (fleet[0], fleet[0], fleet[1], fleet[0]):
        transaction = await ScopedTransaction.open(pool, tenant.ref, read_only=True)
        (row,) = await transaction.fetch(BACKEND, {})
        backends.append(row["pid"])
        await transaction.close()
    assert backends[0] == backends[1] == backends[2] != backends[3]


@pytest.mark.parametrize(
    "change", [{"isolation_level": "SERIALIZABLE"}, {"postgresql_readonly": True}]
)
async def test_a_connection_of_another_character_is_not_handed_on(make_pool, change):
    pool = make_pool(pool_size=1)
    async with pool.lend() as first:
        first.borrow(pool.engine).execution_options(**change)
    assert first.driver.is_closed()


async def test_a_connection_that_was_closed_meanwhile_gives_its_room_back(make_pool):
    pool = make_pool(pool_size=1)
    gone = await pool.take()
    gone.driver.terminate()
    await asyncio.sleep(0.01)
    pool.give_back(gone)
    assert pool.state.in_use == 0
    async with pool.lend() as connection:
        assert connection is not gone


async def test_a_block_that_fails_gives_its_connection_up(make_pool):
    pool = make_pool(pool_size=1)
    with pytest.raises(ZeroDivisionError):
        async with pool.lend() as first:
            raise ZeroDivisionError
    assert first.driver.is_closed()
    assert pool.state.in_use == 0


async def test_what_is_given_back_to_a_closed_pool_is_closed(make_pool):
    pool = make_pool(pool_size=2)
    used, idle = await pool.take(), await pool.take()
    pool.give_back(idle)
    await pool.close()
    assert idle.driver.is_closed()
    assert not used.driver.is_closed()
    pool.give_back(used)
    assert used.driver.is_closed()


class TestTenants:
    """A connection keeps to the tenants that it knows."""

    async def serve_another(self, pool):
        """Have the connection that knows "a" serve another tenant, while one of two is idle.

        Returns both, the idle one last.
        """
        first, second = await pool.take("a"), await pool.take("b")
        pool.give_back(first)
        assert await pool.take("c") is first
        pool.give_back(second)
        return first, second

    async def test_one_that_knows_the_tenant_is_handed_out_first(self, make_pool):
        pool = make_pool(pool_size=2)
        first, second = await pool.take("a"), await pool.take("b")
        pool.give_back(first)
        pool.give_back(second)
        assert await pool.take("a") is first
        assert await pool.take("b") is second

    async def test_a_new_tenant_gets_the_one_that_knows_the_fewest(self, make_pool):
        pool = make_pool(pool_size=2)
        first, second = await pool.take("a"), await pool.take("b")
        pool.give_back(second)
        assert await pool.take("c") is second
        pool.give_back(second)
        pool.give_back(first)
        assert await pool.take("d") is first

    async def test_a_tenant_waits_for_the_one_that_knows_it(self, make_pool):
        pool = make_pool(pool_size=2)
        first, _ = await self.serve_another(pool)
        waiting = asyncio.create_task(pool.take("a"))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        assert pool.state.waiting == 1
        pool.give_back(first)
        async with asyncio.timeout(5):
            assert await waiting is first

    async def test_it_does_not_wait_for_one_that_is_held_for_long(self, make_pool):
        pool = make_pool(pool_size=2)
        _, second = await self.serve_another(pool)
        async with asyncio.timeout(5):
            assert await pool.take("a") is second

    async def test_nor_where_another_can_be_opened(self, make_pool):
        pool = make_pool(pool_size=2)
        pool.give_back(await pool.take("a"))
        held = await pool.take("slow")
        async with asyncio.timeout(5):
            assert await pool.take("a") is not held

    async def test_a_tenant_with_several_requests_gets_several_connections(self, make_pool):
        pool = make_pool(pool_size=3)
        begun = asyncio.get_running_loop().time()
        connections = [await pool.take("a") for _ in range(3)]
        assert all("a" in each.known for each in connections)
        pool.give_back(connections.pop())
        assert await pool.take("a") not in connections
        assert asyncio.get_running_loop().time() - begun < 5

    async def test_tenants_that_one_connection_knows_do_not_queue_up_for_it(self, make_pool):
        pool = make_pool(pool_size=4)
        schemas = [f"t{number}" for number in range(40)]
        for schema in schemas:
            pool.give_back(await pool.take(schema))
        known = set()

        async def use(schema):
            connection = await pool.take(schema)
            known.add(connection)
            await asyncio.sleep(0.002)
            pool.give_back(connection)

        for _ in range(3):
            await asyncio.gather(*map(use, schemas))
        assert len(known) == 4

    async def test_nobody_waits_for_long_for_one_that_goes_from_hand_to_hand(self, make_pool):
        pool = make_pool(pool_size=2)
        first, second = await pool.take("a"), await pool.take("b")
        pool.give_back(first)
        for schema in ("c", "d", "e"):
            first = await pool.take(schema)
            pool.give_back(first)
        pool.give_back(second)
        held = await pool.take("c")
        waiting = asyncio.create_task(pool.take("a"))
        async with asyncio.timeout(5):
            while not waiting.done():
                held.taken_at = asyncio.get_running_loop().time()
                await asyncio.sleep(0.005)
        assert waiting.result() is not held

    async def test_whoever_waits_for_one_that_is_closed_gets_another(self, make_pool):
        pool = make_pool(pool_size=1)
        pool.give_back(await pool.take("a"))
        held = await pool.take("b")
        waiting = asyncio.create_task(pool.take("a"))
        await asyncio.sleep(0)
        held.discard()
        pool.give_back(held)
        async with asyncio.timeout(5):
            assert await waiting is not held

    async def test_under_load_nobody_shares_one_and_nobody_is_forgotten(self, make_pool):
        pool = make_pool(pool_size=4, pool_timeout_seconds=30)
        drawn = random.Random(7)
        held = set()
        served = []

        async def use(number):
            connection = await pool.take(f"t{drawn.randrange(9)}")
            assert connection not in held
            held.add(connection)
            assert len(held) <= 4
            try:
                await asyncio.sleep(drawn.choice([0, 0.001, 0.07]))
            finally:
                held.remove(connection)
                if not drawn.randrange(10):
                    connection.discard()
                pool.give_back(connection)
            served.append(number)

        tasks = [asyncio.create_task(use(number)) for number in range(300)]
        for task in drawn.sample(tasks, 60):
            await asyncio.sleep(0.002)
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        cancelled = sum(isinstance(each, asyncio.CancelledError) for each in outcomes)
        assert {type(each) for each in outcomes} <= {type(None), asyncio.CancelledError}
        assert len(served) + cancelled == 300
        assert (pool.state.in_use, pool.state.waiting) == (0, 0)

    async def test_a_statement_is_prepared_for_each_tenant_while_it_is_used(
        self, make_pool, fleet, monkeypatch
    ):
        monkeypatch.setattr(engine, "_SHARED_STATEMENTS", 1)
        pool = make_pool(pool_size=1, pool_statements=2)
        first, *rest = [each.ref for each in fleet[:4]]
        for tenant in (first, *rest[:2], first, rest[2]):
            await run(pool, tenant, BACKEND)
        prepared = await run(pool, first, PREPARED)  # It takes a place of its own.
        assert {each["statement"].partition("-- ")[2] for each in prepared} == {
            first.schema,
            rest[2].schema,
        }
        # Not planned anew with each run's values.
        assert all(each["generic_plans"] and not each["custom_plans"] for each in prepared)

    async def test_a_statement_is_prepared_for_all_tenants_together_where_none_are_for_each(
        self, make_pool, fleet
    ):
        pool = make_pool(pool_size=1, pool_statements=0)
        for tenant in fleet[:3]:
            await run(pool, tenant.ref, BACKEND)
        (prepared,) = await run(pool, fleet[0].ref, PREPARED)
        assert "-- " not in prepared["statement"]
