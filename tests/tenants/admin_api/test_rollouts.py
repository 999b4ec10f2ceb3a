"""Rollouts over the management API: begun in a request, carried out beside the others."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from tenants import lifecycle
from tenants.models import AuditEntry, Rollout
from tenants.rollouts import interrupt_all, show_rollout_id
from tenants.testing import TESTER
from tests.tenants.rollouts.conftest import (
    NEW,
    NOTE,
    OLD,
    SLOW_NOTE,
    THINGS,
    execute,
    held,
    read_state,
    slugs,
)

NOBODYS = f"roll_{'0' * 32}"


@pytest.fixture
def start(operator):
    """Start a rollout of a fleet's own module."""

    async def start(fleet, **wish):
        body = {"tenants": slugs(fleet), "modules": ["fleet"], **wish}
        return await operator.post("/rollouts", json=body)

    return start


@pytest.fixture
def ended(operator):
    """Wait for a rollout's end: `await ended(rollout)`, as it is then."""

    async def ended(rollout):
        async with asyncio.timeout(20):
            while rollout["status"] == "running":
                await asyncio.sleep(0.02)
                rollout = (await operator.get(f"/rollouts/{rollout['id']}")).json()
        return rollout

    return ended


async def list_attempts(operator, rollout, **query):
    answer = await operator.get(f"/rollouts/{rollout['id']}/attempts", params=query)
    return answer.json()["data"]


async def wait_until_new(tenant):
    async with asyncio.timeout(20):
        while await read_state(tenant) == OLD:
            await asyncio.sleep(0.01)


async def test_who_is_behind_is_shown_and_then_carried(operator, start, ended, make_fleet, load):
    fleet = await make_fleet(2)
    load(THINGS, NOTE)
    query = {"tenant": slugs(fleet), "module": "fleet"}

    plan = (await operator.get("/rollouts/plan", params=query)).json()
    begun = await start(fleet, canary=1, max_failures="50%")
    rollout = await ended(begun.json())

    assert plan == {
        "targets": {"fleet": "fleet_0002"},
        "behind": 2,
        "current": 0,
        "stray": 0,
        "ways": [{"module": "fleet", "start": "fleet_0001", "end": "fleet_0002", "count": 2}],
        "names": slugs(fleet),
        "strays": [],
    }
    assert (begun.status_code, begun.json()["status"], begun.json()["planned"]) == (
        202,
        "running",
        2,
    )
    assert rollout["status"] == "completed"
    assert (rollout["planned"], rollout["migrated"], rollout["failed"]) == (2, 2, 0)
    assert (rollout["targets"], rollout["tenants"]) == ({"fleet": "fleet_0002"}, slugs(fleet))
    assert (rollout["options"]["canary"], rollout["options"]["max_failures"]) == (1, "50%")
    assert rollout["started_by"] == "operator Test"
    assert rollout["finished_at"] is not None
    assert [await read_state(tenant) for tenant in fleet] == [NEW, NEW]
    after = (await operator.get("/rollouts/plan", params=query)).json()
    assert (after["behind"], after["current"], after["ways"]) == (0, 2, [])
    entry = await AuditEntry.objects.aget(target=rollout["id"])
    assert (entry.action, entry.actor_kind) == ("rollout.started", "operator")
    assert entry.request_id == begun.headers["X-Request-Id"]


async def test_one_that_fails_is_told_of_and_tried_again_once_it_is_mended(
    operator, start, ended, make_fleet, load
):
    fleet = await make_fleet(3)
    await execute(fleet[1], "ALTER TABLE fleet_things ADD COLUMN note text")
    load(THINGS, NOTE)

    rollout = await ended((await start(fleet)).json())

    assert (rollout["status"], rollout["migrated"], rollout["failed"]) == ("failed", 2, 1)
    (failed,) = await list_attempts(operator, rollout, succeeded=False)
    assert failed["slug"] == fleet[1].slug
    assert "already exists" in failed["error"]
    path = f"/rollouts/{rollout['id']}/attempts"
    query = {"succeeded": True, "limit": 1}
    first = (await operator.get(path, params=query)).json()
    rest = (await operator.get(path, params={**query, "after": first["next_cursor"]})).json()
    assert {each["slug"] for page in (first, rest) for each in page["data"]} == {
        fleet[0].slug,
        fleet[2].slug,
    }
    assert not rest["has_more"]

    await execute(fleet[1], "ALTER TABLE fleet_things DROP COLUMN note")
    again = await operator.post(f"/rollouts/{rollout['id']}/retry")
    rollout = await ended(again.json())

    assert again.status_code == 202
    assert (rollout["status"], rollout["migrated"], rollout["failed"]) == ("completed", 3, 0)
    assert len(await list_attempts(operator, rollout)) == 4


async def test_while_one_runs_no_other_can_and_it_can_be_cancelled_and_resumed(
    operator, start, ended, make_fleet, load, monkeypatch
):
    monkeypatch.setattr("tenants.rollouts.runner._KEEP_UP_SECONDS", 0.02)
    fleet = await make_fleet(4)
    load(THINGS, SLOW_NOTE)

    async with held(*fleet):
        running = (await start(fleet, concurrency=1, lock_timeout_ms=60_000)).json()
        second = await start(fleet)
        resumed = await operator.post(f"/rollouts/{running['id']}/resume")
        cancelled = await operator.post(f"/rollouts/{running['id']}/cancel")
    rollout = await ended(cancelled.json())

    for refused in (second, resumed):
        assert (refused.status_code, refused.json()["code"]) == (409, "rollout_running")
        assert running["id"] in refused.json()["detail"]
    assert (cancelled.status_code, rollout["status"]) == (200, "cancelled")
    assert (await operator.post(f"/rollouts/{running['id']}/cancel")).json()["code"] == (
        "wrong_state"
    )

    rollout = await ended((await operator.post(f"/rollouts/{running['id']}/resume")).json())
    assert (rollout["status"], rollout["migrated"]) == ("completed", 4)
    assert [await read_state(tenant) for tenant in fleet] == [NEW] * 4
    again = await operator.post(f"/rollouts/{running['id']}/resume")
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")
    newest = (await operator.get("/rollouts", params={"limit": 1})).json()
    assert newest["data"] == [rollout]
    assert newest["has_more"] == (await Rollout.objects.acount() > 1)


async def test_a_process_that_is_stopped_leaves_it_to_be_resumed(
    operator, start, ended, make_fleet, load
):
    fleet = await make_fleet(3)
    load(THINGS, SLOW_NOTE)
    running = (await start(fleet, concurrency=1)).json()
    await wait_until_new(fleet[0])

    await interrupt_all()

    left = (await operator.get(f"/rollouts/{running['id']}")).json()
    assert left["status"] == "interrupted"
    assert left["note"] == "It was cut off. Resume it to go on."
    assert await read_state(fleet[2]) == OLD
    rollout = await ended((await operator.post(f"/rollouts/{running['id']}/resume")).json())
    assert (rollout["status"], rollout["note"]) == ("completed", "")
    assert [await read_state(tenant) for tenant in fleet] == [NEW] * 3


async def test_one_whose_runner_has_died_says_that_it_can_be_resumed(operator):
    dead = await Rollout.objects.acreate(
        scope={"tenants": []},
        runner="host:1:x",
        lease_ends_at=timezone.now() - timedelta(seconds=1),
    )

    shown = (await operator.get(f"/rollouts/{show_rollout_id(dead.id)}")).json()

    assert shown["status"] == "interrupted"
    assert shown["note"] == "Its runner has died. Resume it to go on."


@pytest.mark.parametrize(
    ("wrong", "status", "code", "field"),
    [
        ({"tenants": ["nobody"]}, 404, "tenant_not_found", None),
        ({"modules": ["billing"]}, 422, "invalid_input", None),
        ({"targets": {"sample": "0099"}}, 422, "unknown_revision", None),
        ({"modules": ["sample"], "targets": {"fleet": None}}, 422, "invalid_input", None),
        (
            {"modules": ["conversations"], "targets": {"sample": None}},
            422,
            "invalid_input",
            "targets",
        ),
        ({"canary": "nobodys"}, 422, "invalid_input", "canary"),
        ({"canary": -1}, 422, "invalid_input", "canary"),
        ({"canary": "1" * 400_000}, 422, "invalid_input", "canary"),
        ({"canary": 10**18}, 422, "invalid_input", "canary"),
        ({"canary": True}, 422, "invalid_input", "canary"),
        ({"canary": None}, 422, "invalid_input", "canary"),
        ({"concurrency": 0}, 422, "invalid_input", "concurrency"),
        ({"max_failures": "101%"}, 422, "invalid_input", "max_failures"),
        ({"max_failures": "1" * 5000}, 422, "invalid_input", "max_failures"),
        ({"max_failures": 3}, 422, "invalid_input", "max_failures"),
        ({"lock_timeout_ms": 60_001}, 422, "invalid_input", "lock_timeout_ms"),
        ({"retries": -1}, 422, "invalid_input", "retries"),
        # Whoever has a key of the API runs no commands on the machine that serves it.
        ({"check_command": "true"}, 422, "invalid_input", "check_command"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_begins(
    operator, wrong, status, code, field
):
    before = await Rollout.objects.acount()

    answer = await operator.post("/rollouts", json={"tenants": [], **wrong})

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), problem
    assert [each["field"] for each in problem.get("errors", [])] == ([field] if field else [])
    assert await Rollout.objects.acount() == before


async def test_a_revision_that_cannot_be_rendered_is_refused(start, make_fleet, load):
    fleet = await make_fleet(1)
    load(THINGS, "raise LookupError('needs rows')")

    answer = await start(fleet)

    assert (answer.status_code, answer.json()["code"]) == (422, "broken_revision")


async def test_going_elsewhere_than_to_the_heads_takes_the_scope_that_removes_data(
    operator, client, start, ended, make_fleet, load
):
    fleet = await make_fleet(1)
    load(THINGS, NOTE)
    key = await lifecycle.create_operator("Deploys", ["read", "write"], by=TESTER)
    path, headers = "/api/admin/v1/rollouts", {"Authorization": f"Bearer {key.text}"}
    body = {"tenants": slugs(fleet), "targets": {"fleet": None}}

    begun = await client.post(path, json=body, headers=headers)
    rollout = await ended((await start(fleet, targets={"fleet": "fleet_0001"})).json())
    resumed = await client.post(f"{path}/{rollout['id']}/resume", headers=headers)

    for refused in (begun, resumed):
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    assert (rollout["status"], rollout["targets"]) == ("completed", {"fleet": "fleet_0001"})
    assert await read_state(fleet[0]) == OLD


@pytest.mark.parametrize("verb", ["cancel", "resume", "retry"])
async def test_what_is_not_there_cannot_be_changed(operator, verb):
    answer = await operator.post(f"/rollouts/{NOBODYS}/{verb}")
    assert (answer.status_code, answer.json()["code"]) == (404, "rollout_not_found")
