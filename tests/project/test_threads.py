"""Threads for Django's ORM: connections that are kept, replaced when they are cut, and few."""

import asyncio

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from project.threads import RegistryThreads
from tenants import errors
from tenants.apps import get_settings


@pytest.fixture
async def threads():
    threads = RegistryThreads(3)
    yield threads
    await threads.close_connections()


@sync_to_async
def ask(statement="SELECT pg_backend_pid()", *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()[0]


async def borrow_and_ask(threads):
    async with threads.borrow():
        return await ask()


async def count_alive(pids):
    """How many of these backends are there; the server takes a moment to end one."""
    for _ in range(100):
        count = await ask("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", pids)
        if count <= 2:
            break
        await asyncio.sleep(0.01)
    return count


async def test_one_borrower_after_the_other_has_the_same_connection(threads):
    assert len({await borrow_and_ask(threads) for _ in range(3)}) == 1


async def test_borrowers_at_the_same_time_have_their_own_and_few_stay_open(threads):
    async def borrow_together(barrier):
        async with threads.borrow():
            await barrier.wait()
            return await ask()

    barrier = asyncio.Barrier(3)
    pids = await asyncio.gather(*(borrow_together(barrier) for _ in range(3)))

    assert len(set(pids)) == 3
    assert await count_alive(pids) == 2


async def test_a_connection_that_the_server_has_cut_is_replaced(threads):
    pid = await borrow_and_ask(threads)
    assert await ask("SELECT pg_terminate_backend(%s, 5000)", pid)

    assert await borrow_and_ask(threads) not in {pid, None}


async def test_who_waits_too_long_for_a_thread_is_told(threads, settings):
    settings.TENANTRY = get_settings().model_copy(update={"pool_timeout_seconds": 0.02})
    async with threads.borrow(), threads.borrow(), threads.borrow():
        with pytest.raises(errors.PoolExhausted):
            await borrow_and_ask(threads)
    await borrow_and_ask(threads)


async def test_a_borrower_that_is_cancelled_gives_its_thread_back(threads):
    async def borrow_and_sleep():
        async with threads.borrow():
            await ask("SELECT pg_sleep(0.1)")

    for _ in range(4):
        task = asyncio.create_task(borrow_and_sleep())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await borrow_and_ask(threads) is not None


async def test_closing_leaves_no_connection(threads):
    pid = await borrow_and_ask(threads)
    await threads.close_connections()
    assert await borrow_and_ask(threads) != pid
