"""How long conversations are kept: ends, legal holds, deletion and its undoing."""

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from conversations.settings import get_settings
from tenants import lifecycle
from tenants.db.unit_of_work import write_session
from tenants.testing import TESTER
from tests.conversations.test_router import append, read, start, user, walk

FUTURE = "2099-12-31T00:00:00Z"


def path_of(conversation):
    return f"/conversations/{conversation['id']}"


async def change_row(tenant, conversation, **values):
    """Set columns to SQL expressions, as time and older releases do."""
    assignments = ", ".join(f"{name} = {value}" for name, value in values.items())
    async with write_session(tenant.ref) as session:
        changed = await session.execute(
            text(f"UPDATE conversations SET {assignments} WHERE id = CAST(:id AS uuid)"),
            {"id": conversation["id"].removeprefix("conv_")},
        )
    assert changed.rowcount == 1


async def expire(tenant, conversation):
    await change_row(tenant, conversation, retain_until="now() - interval '1 second'")


async def is_hidden(api, conversation):
    """Whether no route shows it, or adds to it. It may be gone afterwards."""
    path = path_of(conversation)
    listed = [each["id"] for each in await walk(api, "/conversations")]
    answers = [
        await api.get(path),
        await api.get(f"{path}/messages"),
        await api.get(f"{path}/tool-calls"),
        *[await api.get(f"{path}/messages/{each['id']}") for each in conversation["messages"]],
        await api.patch(path, json={"legal_hold": True}),
        await api.post(f"{path}/archive"),
        await api.post(f"{path}/messages", json=user()),
        await api.delete(path),
    ]
    return conversation["id"] not in listed and {each.status_code for each in answers} == {404}


async def test_a_conversation_is_kept_for_ever_unless_something_else_is_said(api):
    started = await start(api)

    assert (started["expires_at"], started["legal_hold"]) == (None, False)


async def test_an_end_and_a_hold_are_given_at_the_start_and_changed_later(api):
    started = await start(api, expires_at=FUTURE, legal_hold=True)
    assert (started["expires_at"], started["legal_hold"]) == (FUTURE, True)

    changes = {"expires_at": "2100-01-01T01:00:00+01:00"}
    changed = (await api.patch(path_of(started), json=changes)).json()
    assert (changed["expires_at"], changed["legal_hold"]) == ("2100-01-01T00:00:00Z", True)

    changes = {"expires_at": None, "legal_hold": False}
    changed = (await api.patch(path_of(started), json=changes)).json()
    assert (changed["expires_at"], changed["legal_hold"]) == (None, False)


@pytest.mark.parametrize(
    "end",
    [
        "2020-01-01T00:00:00Z",
        "2099-12-31T00:00:00",
        "2099-12-31",
        "4000000000",
        4000000000,
        4e9,
        True,
        "",
    ],
)
async def test_what_is_no_moment_to_come_is_refused(api, end):
    started = await start(api)

    for method, path in (("POST", "/conversations"), ("PATCH", path_of(started))):
        answer = await api.request(method, path, json={"expires_at": end})

        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["field"] == "expires_at"


async def test_a_tenants_default_holds_where_the_client_says_nothing(application, api, tenant):
    await lifecycle.change_tenant(tenant.slug, limits={"retention_days": 30}, by=TESTER)
    await asyncio.sleep(0.6)

    by_default, own, kept = [
        await start(api, **given) for given in ({}, {"expires_at": FUTURE}, {"expires_at": None})
    ]

    end = datetime.fromisoformat(by_default["expires_at"])
    assert end - datetime.fromisoformat(by_default["created_at"]) == timedelta(days=30)
    assert (own["expires_at"], kept["expires_at"]) == (FUTURE, None)


async def test_past_its_end_a_conversation_is_hidden(api, tenant):
    started = await start(api, messages=[user()])

    await expire(tenant, started)

    assert await is_hidden(api, started)
    assert (await api.post(f"{path_of(started)}/restore")).status_code == 404


async def test_a_legal_hold_suspends_the_end(api, tenant):
    started = await start(api, legal_hold=True)

    await expire(tenant, started)
    assert (await read(api, path_of(started)))["legal_hold"]
    await append(api, started, user())

    # Lifting the hold in the same breath as saying a new end leaves it there.
    await api.patch(path_of(started), json={"legal_hold": False, "expires_at": None})
    assert not (await read(api, path_of(started)))["legal_hold"]

    await expire(tenant, started)
    assert await is_hidden(api, started)


async def test_a_deleted_conversation_is_restored_as_it_was(api):
    started = await start(api, messages=[user("kept")], expires_at=FUTURE)
    before = (await api.post(f"{path_of(started)}/archive")).json()
    assert (await api.delete(path_of(started))).status_code == 204
    assert await is_hidden(api, started)

    restored = await api.post(f"{path_of(started)}/restore")

    changed = {"version", "updated_at"}
    assert restored.status_code == 200
    assert {k: v for k, v in restored.json().items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }
    messages = await read(api, f"{path_of(started)}/messages")
    assert [message["content"] for message in messages["data"]] == ["kept"]


async def test_restoring_what_is_not_deleted_changes_nothing(api):
    started = await start(api)

    restored = (await api.post(f"{path_of(started)}/restore")).json()

    assert restored | {"messages": []} == started


async def test_after_the_undo_window_only_what_is_under_legal_hold_comes_back(api, tenant):
    days = get_settings().undo_days
    for hold, status in ((False, 404), (True, 200)):
        for hours, expected in ((1, 200), (-1, status)):
            started = await start(api, legal_hold=hold)
            await api.delete(path_of(started))
            moment = f"now() - interval '{days} days' + interval '{hours} hours'"
            await change_row(tenant, started, deleted_at=moment)

            answer = await api.post(f"{path_of(started)}/restore")
            assert answer.status_code == expected, (hold, hours)


async def test_what_a_process_of_the_last_release_deletes_is_hidden_too(api, tenant):
    started = await start(api, messages=[user()])

    await change_row(tenant, started, status="'deleted'")

    assert await is_hidden(api, started)


async def test_deleted_and_expired_conversations_are_not_counted(application, make_tenant, client):
    tenant = await make_tenant()
    made = [
        (await client.post("/api/v1/conversations", json={}, headers=tenant.headers)).json()
        for _ in range(3)
    ]
    await client.delete(f"/api/v1{path_of(made[0])}", headers=tenant.headers)
    await expire(tenant, made[1])

    usage = await lifecycle.get_usage(tenant.slug)

    assert usage.counts["conversations"]["conversations"] == 1
