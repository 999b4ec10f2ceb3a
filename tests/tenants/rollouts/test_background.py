"""Rollouts beside the requests of a web process, and what is left of one when the process dies."""

import asyncio
import signal
import threading

import httpx
import pytest
from asgiref.sync import sync_to_async

from project.threads import registry_threads
from tenants import errors, lifecycle
from tenants.models import Rollout
from tenants.rollouts import (
    Planned,
    background,
    carry_in_background,
    interrupt_all,
    show_rollout_id,
)
from tenants.testing import MANAGEMENT_API, TESTER
from tests.project.processes import running_serve, until
from tests.tenants.rollouts.conftest import NEW, NOTE, OLD, THINGS, read_state, slugs
from tests.tenants.throwaway import write_revision


@pytest.fixture
async def planned():
    """The event with which the run of a rollout that is only a row begins."""
    rollout = await Rollout.objects.acreate(status="paused")
    yield Planned(show_rollout_id(rollout.id), {}, 0, 0)
    await rollout.adelete()


async def test_it_goes_on_when_whoever_asked_for_it_has_gone(planned):
    told, done = asyncio.Event(), asyncio.Event()

    async def conduct(watch):
        await told.wait()
        watch(planned)
        done.set()

    asker = asyncio.create_task(carry_in_background(conduct))
    await asyncio.sleep(0.01)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    told.set()

    await asyncio.wait_for(done.wait(), 5)


async def test_its_work_on_the_registry_is_not_done_in_the_askers_thread(planned):
    answered, done = asyncio.Event(), asyncio.Event()
    threads = []

    async def conduct(watch):
        watch(planned)
        await answered.wait()
        threads.append(await sync_to_async(threading.current_thread)())
        done.set()

    async with registry_threads.borrow():
        asker = await sync_to_async(threading.current_thread)()
        await carry_in_background(conduct)
    answered.set()

    await asyncio.wait_for(done.wait(), 5)
    assert threads != [asker]


async def test_what_stands_against_its_beginning_is_raised():
    async def conduct(watch):
        raise errors.RolloutRunning("Another is.")

    with pytest.raises(errors.RolloutRunning):
        await carry_in_background(conduct)


async def test_what_breaks_it_off_later_is_logged(planned, monkeypatch):
    logged = asyncio.Queue()
    monkeypatch.setattr(
        background.log, "error", lambda event, **values: logged.put_nowait((event, values))
    )

    async def conduct(watch):
        watch(planned)
        raise OSError("gone")

    await carry_in_background(conduct)

    event, values = await asyncio.wait_for(logged.get(), 5)
    assert (event, values["reason"]) == ("rollout.broken_off", "OSError('gone')")


async def test_a_process_that_stops_waits_for_none_that_has_not_begun():
    async def conduct(watch):
        await asyncio.Event().wait()

    asker = asyncio.create_task(carry_in_background(conduct))
    await asyncio.sleep(0.01)

    await interrupt_all()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asker, 5)


_RELEASE = '''
"""A release of the module `fleet`, for a process of its own."""

from pathlib import Path

from ninja import Router

from tenants.db.base import create_metadata
from tenants.module import Module

module = Module(
    name="fleet",
    label="Fleet",
    version="2",
    router=Router(),
    metadata=create_metadata(),
    revisions=Path(__file__).parent / "revisions",
)
'''


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "note"),
    [
        (signal.SIGKILL, "Its runner has died. Resume it to go on."),
        (signal.SIGTERM, "It was cut off. Resume it to go on."),
    ],
)
async def test_another_process_resumes_what_one_that_ended_has_begun(
    make_fleet, tmp_path, number, note
):
    fleet = await make_fleet(6)
    package = tmp_path / "shipped" / "fleet_release"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "module.py").write_text(_RELEASE)
    slow = f"op.execute('SELECT pg_sleep(0.3)')\n{NOTE}"
    write_revision(package / "revisions", "fleet_0001", THINGS, label="fleet")
    write_revision(package / "revisions", "fleet_0002", slow, parent="fleet_0001")
    settings = {
        "PYTHONPATH": str(package.parent),
        "TENANTRY_MODULES": '["conversations", "tests.sample", "fleet_release"]',
        "TENANTRY_ROLLOUT_LEASE_SECONDS": "1",
        "TENANTRY_DRAIN_DELAY_SECONDS": "0",
    }
    key = await lifecycle.create_operator("Deploys", by=TESTER)

    def connect(service):
        return httpx.Client(
            base_url=service.base_url + MANAGEMENT_API,
            headers={"Authorization": f"Bearer {key.text}"},
            timeout=30,
        )

    with running_serve(**settings) as service, connect(service) as client:
        body = {"tenants": slugs(fleet), "modules": ["fleet"], "concurrency": 1}
        path = f"/rollouts/{client.post('/rollouts', json=body).json()['id']}"
        until(lambda: client.get(path).json()["migrated"] >= 2)
        service.end(number)
    states = [await read_state(tenant) for tenant in fleet]
    assert set(states) == {OLD, NEW}

    with running_serve(**settings) as service, connect(service) as client:
        until(lambda: client.get(path).json()["status"] == "interrupted")
        assert client.get(path).json()["note"] == note
        assert client.post(f"{path}/resume").json()["status"] == "running"
        until(lambda: client.get(path).json()["status"] != "running")
        rollout = client.get(path).json()
        attempts = client.get(f"{path}/attempts").json()["data"]

    assert (rollout["status"], rollout["migrated"], rollout["failed"]) == ("completed", 6, 0)
    assert {attempt["slug"] for attempt in attempts} <= set(slugs(fleet))
    assert [await read_state(tenant) for tenant in fleet] == [NEW] * 6
