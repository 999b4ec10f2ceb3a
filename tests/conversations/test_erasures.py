"""Erasing for good, by request and by job: what goes, what stays, and the receipts."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import UUID

import pytest
from sqlalchemy import text

from conversations import jobs, service
from conversations.settings import get_settings
from tenants import lifecycle
from tenants.db.unit_of_work import read_session, write_session
from tenants.errors import FileStoreUnavailable
from tenants.files import Content
from tenants.storage import TenantFiles
from tenants.testing import API, TESTER, connect
from tests.conversations.test_attachments import files_of, store
from tests.conversations.test_retention import change_row, expire, path_of
from tests.conversations.test_router import append, calling, output, start, user, walk

TABLES = ("conversations", "messages", "tool_calls", "summaries", "feedback", "attachments")
NOTHING = dict.fromkeys((*TABLES, "attachment_bytes", "answers"), 0)


@pytest.fixture
async def tenant(make_tenant):
    """A tenant for each test: these look at all that it has."""
    return await make_tenant()


async def fill(api, tenant, user_id=None, **more):
    """A conversation with one of everything that belongs to it, and more than one message."""
    messages = [user("secret"), calling("a"), output("a"), user("secret")]
    started = await start(api, user_id=user_id, title="secret", messages=messages, **more)
    feedback = f"{path_of(started)}/messages/{started['messages'][0]['id']}/feedback"
    for author in ("x", "y"):
        await api.put(feedback, json={"author": author, "rating": "up"})
    await store(api, b"secret", conversation_id=started["id"])
    row = {"c": UUID(started["id"].removeprefix("conv_")), "now": datetime.now(UTC)}
    async with write_session(tenant.ref) as session:
        await session.execute(
            text(
                "INSERT INTO summaries (id, conversation_id, from_seq, to_seq, text, created_at) "
                "VALUES (gen_random_uuid(), :c, 1, 2, 'secret', :now)"
            ),
            row,
        )
        await session.execute(
            text(
                "INSERT INTO answered_requests "
                "(digest, fingerprint, status, body, conversation_id, created_at) "
                "VALUES (:digest, 'x', 201, 'secret', :c, :now)"
            ),
            row | {"digest": secrets.token_bytes(16)},
        )
    return started


OF_ONE = {
    "conversations": 1,
    "messages": 4,
    "tool_calls": 1,
    "summaries": 1,
    "feedback": 2,
    "attachments": 1,
    "attachment_bytes": 6,
    "answers": 1,
}


def times(counts, number):
    return {name: count * number for name, count in counts.items()}


async def count_rows(tenant):
    async with read_session(tenant.ref) as session:
        counts = {}
        for table in (*TABLES, "answered_requests"):
            counts[table] = await session.scalar(text(f"SELECT count(*) FROM {table}"))
        return counts


async def branch_off(api, tenant, parent, **given):
    branch = await start(api, messages=[user("secret")], **given)
    await change_row(tenant, branch, parent_id=f"'{parent['id'].removeprefix('conv_')}'")
    return branch


async def erase(api, path, status=200):
    answer = await api.post(f"{path}/erase")
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_an_erased_conversation_leaves_a_receipt_and_nothing_else(api, tenant):
    kept, gone = await fill(api, tenant), await fill(api, tenant)
    before = await count_rows(tenant)

    receipt = await erase(api, path_of(gone))

    assert receipt["removed"] == OF_ONE
    assert (receipt["kind"], receipt["subject"], receipt["kept"]) == (
        "conversation",
        gone["id"],
        [],
    )
    assert receipt["requested_by"].isalnum()
    assert receipt["status"] == "completed"
    assert receipt["completed_at"] >= receipt["created_at"]
    assert await count_rows(tenant) == {name: count // 2 for name, count in before.items()}
    assert len(files_of(tenant)) == 1
    assert [each["id"] for each in await walk(api, "/conversations")] == [kept["id"]]
    assert (await api.get(f"/erasures/{receipt['id']}")).json() == receipt
    assert await walk(api, "/erasures") == [receipt]
    async with read_session(tenant.ref) as session:
        rows = await session.scalars(text("SELECT e::text FROM erasures e"))
        assert "secret" not in "".join(rows)


async def test_a_branch_of_a_branch_that_was_erased_is_erased_with_its_first_user(api, tenant):
    root = await start(api, user_id="user-1", messages=[user("secret")])
    middle = (await api.post(f"{path_of(root)}/forks", json={"at_seq": 1})).json()
    other = {"at_seq": 1, "user_id": "user-2"}
    leaf = (await api.post(f"{path_of(middle)}/forks", json=other)).json()
    await erase(api, path_of(middle))

    await erase(api, "/users/user-1")

    assert (await api.get(path_of(leaf))).status_code == 404
    assert (await count_rows(tenant))["messages"] == 0


async def test_a_repeated_erasure_gets_the_same_receipt(api, tenant):
    started = await fill(api, tenant)

    receipts = await asyncio.gather(*(api.post(f"{path_of(started)}/erase") for _ in range(8)))
    last = await erase(api, path_of(started))

    assert {receipt.json()["id"] for receipt in receipts} == {last["id"]}
    assert last["removed"] == OF_ONE
    assert len(await walk(api, "/erasures")) == 1


async def test_a_deleted_conversation_can_be_erased_at_once(api, tenant):
    started = await fill(api, tenant)
    await api.delete(path_of(started))

    assert (await erase(api, path_of(started)))["removed"] == OF_ONE
    assert (await api.post(f"{path_of(started)}/restore")).status_code == 404


async def test_nothing_under_legal_hold_is_erased(api, tenant):
    started = await fill(api, tenant, legal_hold=True)
    before = await count_rows(tenant)

    for deleted in (False, True):
        if deleted:
            await api.delete(path_of(started))
        answer = await api.post(f"{path_of(started)}/erase")
        assert (answer.status_code, answer.json()["code"]) == (409, "legal_hold")

    moment = f"now() - interval '{get_settings().undo_days + 1} days'"
    await change_row(tenant, started, deleted_at=moment, retain_until="now()")
    assert await jobs.erase_due(TenantFiles, tenant.ref) == 0
    assert await count_rows(tenant) == before
    assert await walk(api, "/erasures") == []

    await api.post(f"{path_of(started)}/restore")
    await api.patch(path_of(started), json={"legal_hold": False, "expires_at": None})
    assert (await erase(api, path_of(started)))["removed"] == OF_ONE


async def test_many_messages_go_in_batches_each_a_short_transaction(api, tenant, monkeypatch):
    monkeypatch.setattr("conversations.service.erasures.BATCH", 7)
    sizes = []
    original = service.erasures.repository.erase_messages

    async def erase_messages(session, conversation_id, limit):
        sizes.append((limit, (await original(session, conversation_id, limit))["messages"]))
        return {"messages": sizes[-1][1]}

    monkeypatch.setattr("conversations.repository.erase_messages", erase_messages)
    started = await start(api, messages=[user()] * 30)

    receipt = await erase(api, path_of(started))

    assert sizes == [(7, 7)] * 4 + [(7, 2)]
    assert receipt["removed"] == NOTHING | {"conversations": 1, "messages": 30}


async def test_what_takes_too_long_is_finished_by_a_job(api, tenant, monkeypatch):
    monkeypatch.setattr("conversations.service.erasures.BATCH", 1)
    started = await fill(api, tenant)
    monkeypatch.setattr("conversations.service.carry_on", hurry(service.carry_on))

    begun = await erase(api, path_of(started), status=202)

    assert (begun["status"], begun["completed_at"]) == ("running", None)
    assert begun["removed"]["messages"] == 1
    assert (await api.get(path_of(started))).status_code == 404
    assert await jobs.finish_erasures(TenantFiles, tenant.ref) == 0  # Somebody may be at it.
    monkeypatch.undo()
    await age_receipts(tenant)
    assert await jobs.finish_erasures(TenantFiles, tenant.ref) == 1
    receipt = (await api.get(f"/erasures/{begun['id']}")).json()
    assert (receipt["status"], receipt["removed"]) == ("completed", OF_ONE)
    assert await jobs.finish_erasures(TenantFiles, tenant.ref) == 0


def hurry(carry_on):
    async def carry_on_once(tenant, files, erasure, seconds=-1.0):
        return await carry_on(tenant, files, erasure, seconds)

    return carry_on_once


async def age_receipts(tenant):
    async with write_session(tenant.ref) as session:
        await session.execute(text("UPDATE erasures SET created_at = now() - interval '1 hour'"))


class FailingFiles(TenantFiles):
    """Gives up when it is to remove bytes for the n-th time."""

    left = 0

    async def delete(self, name):
        if type(self).left == 0:
            raise FileStoreUnavailable
        type(self).left -= 1
        await super().delete(name)


@pytest.mark.parametrize("left", [0, 1, 2, 3])
async def test_an_erasure_that_was_cut_off_goes_on_and_counts_right(api, tenant, monkeypatch, left):
    for _ in range(3):
        await fill(api, tenant, "someone")
    await store(api, b"own", user_id="someone")
    monkeypatch.setattr(FailingFiles, "left", left)
    monkeypatch.setattr("conversations.router.erasures.TenantFiles", FailingFiles)

    answer = await api.post("/users/someone/erase")

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert await walk(api, "/conversations") == []
    monkeypatch.undo()
    await age_receipts(tenant)
    assert await jobs.finish_erasures(TenantFiles, tenant.ref) == 1
    (receipt,) = await walk(api, "/erasures")
    assert receipt["removed"] == times(OF_ONE, 3) | {"attachments": 4, "attachment_bytes": 21}
    assert files_of(tenant) == set()
    assert await erase(api, "/users/someone") == receipt


async def test_everything_of_a_user_is_erased_and_nothing_of_others(api, tenant):
    mine = [await fill(api, tenant, "me/ü ?#") for _ in range(2)]
    theirs = await fill(api, tenant, "me")
    await api.delete(path_of(mine[1]))
    feedback = f"{path_of(theirs)}/messages/{theirs['messages'][0]['id']}/feedback"
    await api.put(feedback, json={"author": "me/ü ?#", "rating": "down"})
    await store(api, b"mine", user_id="me/ü ?#")
    await store(api, b"mine", user_id="me/ü ?#", conversation_id=theirs["id"])
    await store(api, b"theirs", user_id="me")

    receipt = await erase(api, "/users/me%2F%C3%BC%20%3F%23")

    assert (receipt["kind"], receipt["subject"]) == ("user", "me/ü ?#")
    assert receipt["removed"] == times(OF_ONE, 2) | {
        "feedback": 5,
        "attachments": 4,
        "attachment_bytes": 20,
    }
    assert [each["id"] for each in await walk(api, "/conversations")] == [theirs["id"]]
    assert len(files_of(tenant)) == 2
    assert [each["author"] for each in await walk(api, feedback)] == ["x", "y"]
    assert await erase(api, "/users/me%2F%C3%BC%20%3F%23") == receipt


async def test_what_branched_off_goes_with_it_whoever_has_it(api, tenant):
    mine = await start(api, user_id="me", messages=[user("secret")])
    other = await start(api, user_id="other")
    branch = await branch_off(api, tenant, mine, user_id="other")
    await branch_off(api, tenant, branch)
    own_branch = await branch_off(api, tenant, other, user_id="me")
    await branch_off(api, tenant, own_branch)

    receipt = await erase(api, "/users/me")

    assert receipt["removed"] == NOTHING | {"conversations": 5, "messages": 5}
    assert [each["id"] for each in await walk(api, "/conversations")] == [other["id"]]


@pytest.mark.parametrize("steps", range(9))
async def test_branches_are_not_forgotten_wherever_an_erasure_is_cut_off(api, tenant, steps):
    mine = await start(api, user_id="me")
    branch = await branch_off(api, tenant, mine, user_id="other")
    await branch_off(api, tenant, branch, user_id="third")
    async with write_session(tenant.ref) as session:
        begun = await service.begin_user_erasure(session, "me", "tester")
    key = service.erasures._erasure_key(begun["id"])
    batches = service.erasures._erase(tenant.ref, TenantFiles(tenant.ref), key, begun)
    for _ in range(steps):
        await anext(batches)
    await batches.aclose()

    receipt = await erase(api, "/users/me")

    assert receipt["id"] == begun["id"]
    assert receipt["removed"] == NOTHING | {"conversations": 3, "messages": 2}
    assert (await count_rows(tenant))["conversations"] == 0


async def test_conversations_under_legal_hold_are_kept_and_named(api, tenant):
    held = await fill(api, tenant, "me", legal_hold=True)
    await store(api, b"held", user_id="me", conversation_id=held["id"])
    feedback = f"{path_of(held)}/messages/{held['messages'][0]['id']}/feedback"
    await api.put(feedback, json={"author": "me", "rating": "down"})
    await fill(api, tenant, "me")
    held_branch = await branch_off(api, tenant, held, legal_hold=True)

    receipt = await erase(api, "/users/me")

    assert receipt["kept"] == sorted([held["id"], held_branch["id"]])
    assert receipt["removed"] == OF_ONE
    assert (await api.get(path_of(held))).status_code == 200
    assert len(files_of(tenant)) == 2
    assert len(await walk(api, feedback)) == 3

    await api.patch(path_of(held), json={"legal_hold": False})
    again = await erase(api, "/users/me")
    assert again["id"] != receipt["id"]
    assert again["removed"]["messages"] == 4
    assert again["kept"] == [held_branch["id"]]


async def test_a_user_of_whom_there_never_was_anything_is_not_found(api):
    answer = await api.post("/users/nobody/erase")

    assert (answer.status_code, answer.json()["code"]) == (404, "user_not_found")


async def test_conversations_are_erased_when_their_time_is_over(api, tenant):
    kept, expired, deleted, undoable = [await fill(api, tenant) for _ in range(4)]
    await expire(tenant, expired)
    days = get_settings().undo_days
    for conversation, hours in ((deleted, -1), (undoable, 1)):
        await api.delete(path_of(conversation))
        moment = f"now() - interval '{days} days' + interval '{hours} hours'"
        await change_row(tenant, conversation, deleted_at=moment)

    assert await jobs.erase_due(TenantFiles, tenant.ref) == 2

    receipts = await walk(api, "/erasures")
    assert {each["subject"] for each in receipts} == {expired["id"], deleted["id"]}
    assert {each["requested_by"] for each in receipts} == {"retention"}
    assert [each["removed"] for each in receipts] == [OF_ONE] * 2
    assert (await count_rows(tenant))["conversations"] == 2
    assert (await api.post(f"{path_of(undoable)}/restore")).status_code == 200
    assert (await api.get(path_of(kept))).status_code == 200
    assert await jobs.erase_due(TenantFiles, tenant.ref) == 0


async def test_two_runs_at_once_share_the_work(api, tenant):
    for _ in range(6):
        await expire(tenant, await fill(api, tenant))

    done = await asyncio.gather(*(jobs.erase_due(TenantFiles, tenant.ref) for _ in range(3)))

    assert sum(done) == 6
    receipts = await walk(api, "/erasures")
    assert len({each["subject"] for each in receipts}) == len(receipts) == 6
    assert [each["removed"] for each in receipts] == [OF_ONE] * 6


async def test_appends_against_an_erasure_leave_no_orphan(api, tenant):
    started = await start(api, user_id="me", messages=[user()] * 50)

    async def add():
        return (
            await api.post(f"{path_of(started)}/messages", json=user()),
            await api.put(
                f"{path_of(started)}/messages/{started['messages'][0]['id']}/feedback",
                json={"author": secrets.token_hex(4), "rating": "up"},
            ),
            await api.post(
                "/attachments",
                files={"file": ("a", b"x")},
                data={"conversation_id": started["id"]},
            ),
        )

    rounds = await asyncio.gather(*(add() for _ in range(5)), erase(api, "/users/me"), add())
    answers = [answer for each in rounds if isinstance(each, tuple) for answer in each]

    assert {answer.status_code for answer in answers} <= {200, 201, 404}
    assert set((await count_rows(tenant)).values()) == {0}
    assert files_of(tenant) == set()


async def test_receipts_are_filtered_and_paged(api):
    for name in ("a", "b"):
        await start(api, user_id=name)
        await erase(api, f"/users/{name}")
    conversation = await start(api)
    await erase(api, path_of(conversation))

    receipts = await walk(api, "/erasures", limit=1)

    assert [each["subject"] for each in receipts] == [conversation["id"], "b", "a"]
    assert [each["subject"] for each in await walk(api, "/erasures", kind="user", limit=1)] == [
        "b",
        "a",
    ]
    assert await walk(api, "/erasures", subject="a") == [receipts[2]]
    assert (await api.get("/erasures", params={"kind": "all"})).status_code == 422


async def test_bytes_without_a_row_are_removed_once_they_are_old(api, tenant, monkeypatch):
    kept = await store(api)
    files = TenantFiles(tenant.ref)
    hour_ago = int((datetime.now(UTC) - timedelta(hours=1, minutes=1)).timestamp() * 1000)
    old, new = (f"{hour_ago:012x}7{'0' * 19}", service.attachments.new_id().hex)
    for name in (old, new, "somebody-elses"):
        await files.save(name, Content(BytesIO(b"x"), 1))

    assert await jobs.remove_stray_files(TenantFiles, tenant.ref) == 1
    assert files_of(tenant) == {kept["id"].removeprefix("att_"), new, "somebody-elses"}

    monkeypatch.setattr(jobs, "_STRAY_AFTER", timedelta(seconds=-10))
    assert await jobs.remove_stray_files(TenantFiles, tenant.ref) == 1
    assert (await api.get(f"/attachments/{kept['id']}/content")).content == b"Oslo"
    assert await jobs.remove_stray_files(TenantFiles, (await fresh(tenant)).ref) == 0


async def fresh(tenant):
    """The same as a tenant that has never had a file."""
    await TenantFiles(tenant.ref).delete_all()
    return tenant


async def test_an_erased_tenant_leaves_no_byte(application, make_tenant):
    tenant, other = await make_tenant(), await make_tenant()
    for each in (tenant, other):
        async with connect(application, base_url=f"http://localhost{API}", tenant=each) as client:
            await store(client)
    await lifecycle.delete_tenant(tenant.slug, by=TESTER)

    await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

    assert files_of(tenant) == set()
    assert len(files_of(other)) == 1


@pytest.mark.slow
async def test_a_hundred_thousand_messages_hold_no_long_lock(api, tenant, monkeypatch):
    started = await start(api)
    async with write_session(tenant.ref) as session:
        for first in range(1, 100_001, 10_000):
            await session.execute(
                text(
                    "INSERT INTO messages (id, conversation_id, seq, role, text, created_at) "
                    "SELECT gen_random_uuid(), CAST(:id AS uuid), n, 'user', 'some words', now() "
                    "FROM generate_series(CAST(:first AS int), :first + 9999) n"
                ),
                {"id": started["id"].removeprefix("conv_"), "first": first},
            )
    longest = 0.0
    original = service.erasures.repository.erase_messages

    async def erase_messages(*arguments):
        nonlocal longest
        begun = asyncio.get_running_loop().time()
        counts = await original(*arguments)
        longest = max(longest, asyncio.get_running_loop().time() - begun)
        return counts

    monkeypatch.setattr("conversations.repository.erase_messages", erase_messages)
    other = await start(api)

    answer = await api.post(f"{path_of(started)}/erase")
    await append(api, other, user())
    await age_receipts(tenant)
    while (await api.get(f"/erasures/{answer.json()['id']}")).json()["status"] == "running":
        await jobs.finish_erasures(TenantFiles, tenant.ref)

    receipt = (await api.get(f"/erasures/{answer.json()['id']}")).json()
    assert receipt["removed"]["messages"] == 100_000
    assert longest < 1.0
