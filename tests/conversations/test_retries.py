"""Requests that are sent again under the same key, in every way that a client may have to."""

import asyncio
import copy
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson
import pytest
from django.test import RequestFactory
from sqlalchemy import text

from conversations import repository, service
from conversations.repository import appends
from conversations.router import retries
from conversations.settings import get_settings
from conversations.statements import append_once_statement
from tenants import lifecycle
from tenants.apps import get_settings as get_engine_settings
from tenants.db import engine
from tenants.db.transaction import ScopedTransaction
from tenants.db.unit_of_work import read_session, write_session
from tenants.errors import ConnectionLost
from tenants.ids import find_id
from tenants.testing import API, TESTER, connect
from tests.conversations.statements import counted_statements
from tests.project.exchange import LOCAL, Exchange

STARTED = {"title": "Once", "messages": [{"role": "user", "content": "ok"}]}


def under(key):
    return {"Idempotency-Key": key}


async def start(api, key, **content):
    return await api.post("/conversations", json=content or STARTED, headers=under(key))


async def append(api, conversation_id, key=None, content="ok", **query):
    return await api.post(
        f"/conversations/{conversation_id}/messages",
        json={"role": "user", "content": content},
        headers=under(key) if key else {},
        params=query,
    )


@pytest.fixture
def tenant(empty_tenant):
    return empty_tenant


@pytest.fixture
async def conversation_id(api):
    return (await api.post("/conversations", json={})).json()["id"]


async def texts(api, conversation_id):
    page = await api.get(f"/conversations/{conversation_id}/messages", params={"limit": 100})
    return [message["content"] for message in page.json()["data"]]


async def titles(api):
    page = await api.get("/conversations", params={"limit": 100})
    return [conversation["title"] for conversation in page.json()["data"]]


async def count_kept(tenant):
    async with read_session(tenant.ref) as session:
        return await session.scalar(text("SELECT count(*) FROM answered_requests"))


async def age(tenant, **how):
    """Have everything that is kept been answered so long ago."""
    async with write_session(tenant.ref) as session:
        await session.execute(
            text("UPDATE answered_requests SET created_at = :then"),
            {"then": datetime.now(UTC) - timedelta(**how)},
        )


def is_replay_of(first, answer):
    return (
        "idempotent-replayed" not in first.headers
        and answer.headers.get("idempotent-replayed") == "true"
        and (answer.status_code, answer.content) == (first.status_code, first.content)
    )


# A repeat


async def test_a_repeat_gets_the_same_answer_and_does_nothing(api, tenant):
    first = await start(api, "a")
    assert first.status_code == 201
    await append(api, first.json()["id"], content="more")

    repeats = [await start(api, "a") for _ in range(2)]

    assert all(is_replay_of(first, repeat) for repeat in repeats)
    assert repeats[0].headers["content-type"] == first.headers["content-type"]
    assert await titles(api) == ["Once"]
    assert await count_kept(tenant) == 1


async def test_a_repeat_is_answered_even_when_what_it_made_has_gone(api):
    first = await start(api, "a")
    await api.delete(f"/conversations/{first.json()['id']}")

    assert is_replay_of(first, await start(api, "a"))


async def test_a_request_without_a_key_leaves_nothing(api, tenant, conversation_id):
    await append(api, conversation_id)

    assert await count_kept(tenant) == 0


async def test_two_appends_without_a_key_that_are_both_meant_are_two(api, conversation_id):
    first, second = [await append(api, conversation_id) for _ in range(2)]

    assert (first.json()["seq"], second.json()["seq"]) == (1, 2)
    assert await texts(api, conversation_id) == ["ok", "ok"]


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_an_append_keeps_the_very_bytes_that_it_answers(api, conversation_id, count):
    path = f"/conversations/{conversation_id}/messages"
    await api.post(path, json={"role": "user", "content": "before"})
    calls = [{"call_id": f"c{number}", "name": "n", "arguments": {"seq": 7}} for number in range(2)]
    messages = [
        {"role": "user", "content": f'"seq":{number} \\u0030 Grüße 👋\n'}
        for number in range(count - 1)
    ] + [{"role": "assistant", "tool_calls": calls}]
    body = {"messages": messages} if count > 1 else messages[0]

    with counted_statements() as statements:
        first = await api.post(path, json=body, headers=under("a"))
    repeat = await api.post(path, json=body, headers=under("a"))

    assert len(statements) == 1
    assert (first.status_code, repeat.status_code) == (201, 201)
    assert repeat.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert repeat.headers["idempotent-replayed"] == "true"
    answered = first.json()["data"] if count > 1 else [first.json()]
    page = (await api.get(path, params={"limit": 100, "order": "desc"})).json()["data"][:count]
    assert answered == sorted(page, key=lambda message: message["seq"])
    assert [message["seq"] for message in answered] == list(range(2, count + 2))


async def test_a_keyed_append_whose_call_id_is_taken_is_tried_again_and_then_refused(
    api, conversation_id, logged
):
    path = f"/conversations/{conversation_id}/messages"
    body = {"role": "assistant", "tool_calls": [{"call_id": "c", "name": "n", "arguments": {}}]}
    assert (await api.post(path, json=body, headers=under("a"))).status_code == 201

    refused = await api.post(path, json=body, headers=under("b"))
    repeat = await api.post(path, json=body, headers=under("a"))

    assert (refused.status_code, refused.json()["code"]) == (409, "call_id_taken")
    assert (repeat.status_code, repeat.headers["idempotent-replayed"]) == (201, "true")
    assert [entry["code"] for entry in logged if entry["event"] == "request.repeated"] == [
        "transaction_conflict"
    ]


async def test_a_first_run_that_ends_between_look_and_lock_is_found(
    api, conversation_id, monkeypatch
):
    """The look is blind, as with a snapshot from before the first run's end."""

    def look_blindly(*which):
        statement = copy.copy(append_once_statement(*which))
        look = " ON answered_requests.digest = "
        assert look in statement.sql
        statement.sql = statement.sql.replace(look, f" ON false AND {look.removeprefix(' ON ')}")
        return statement

    path = f"/conversations/{conversation_id}/messages"
    calls = [{"call_id": "c", "name": "n", "arguments": {}}]
    bodies = [
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "call_id": "c", "content": "ok"},
        {"role": "user", "content": "ok"},
    ]
    for number, body in enumerate(bodies):
        key = under(f"a{number}")
        first = await api.post(path, json=body, headers=key)
        with monkeypatch.context() as patch:
            patch.setattr(appends, "append_once_statement", look_blindly)
            repeat = await api.post(path, json=body, headers=key)
        assert (first.status_code, repeat.status_code) == (201, 201)
        assert repeat.content == first.content
    assert len(await texts(api, conversation_id)) == 3


async def test_a_keyed_append_to_no_active_conversation_is_refused_as_any_is(api, conversation_id):
    await api.post(f"/conversations/{conversation_id}/archive")
    for _ in range(2):
        answer = await append(api, conversation_id, "a")
        assert (answer.status_code, answer.json()["code"]) == (409, "conversation_archived")
    await api.patch(f"/conversations/{conversation_id}", json={"status": "active"})
    assert (await append(api, conversation_id, "a")).status_code == 201
    answer = await append(api, f"conv_{'0' * 32}", "b")
    assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")


async def test_the_same_append_under_two_keys_is_two(api, conversation_id):
    for key in ("a", "b", "a"):
        assert (await append(api, conversation_id, key)).status_code == 201

    assert await texts(api, conversation_id) == ["ok", "ok"]


# Whose key it is, and for what


async def test_a_key_belongs_to_its_caller(application, api, tenant, conversation_id):
    key = await lifecycle.issue_key(tenant.slug, "Other", ["write"], by=TESTER)
    first = await append(api, conversation_id, "a")

    async with connect(application, base_url=f"http://localhost{API}") as other:
        other.headers["Authorization"] = f"Bearer {key.text}"
        second = await append(other, conversation_id, "a")

    assert second.status_code == 201
    assert second.json()["seq"] == first.json()["seq"] + 1


async def test_another_tenants_key_is_a_fresh_request(application, api, make_tenant):
    first = await start(api, "a")

    url = f"http://localhost{API}"
    async with connect(application, base_url=url, tenant=await make_tenant()) as other:
        fresh = await start(other, "a")
        foreign = await append(other, first.json()["id"], "a")

    assert fresh.status_code == 201
    assert fresh.json()["id"] != first.json()["id"]
    assert "idempotent-replayed" not in fresh.headers
    assert foreign.status_code == 422  # Its own key, for something else.


async def test_a_user_of_two_tenants_has_two_keys():
    asked = [b"POST", b"/", b"", b"{}"]
    tenants = [type("Tenant", (), {"id": id_}) for id_ in (_uuid(1), _uuid(2))]

    named = [service.RepeatableRequest.of(each, "user:7", "a", asked) for each in tenants]

    assert named[0].digest != named[1].digest
    assert named[0].fingerprint == named[1].fingerprint


def _uuid(number):
    return find_id("conv", f"conv_{number:032x}")


async def test_another_request_under_the_same_key_is_refused(api, conversation_id):
    other_id = (await api.post("/conversations", json={})).json()["id"]
    assert (await append(api, conversation_id, "a")).status_code == 201

    answers = [
        await append(api, conversation_id, "a", content="other"),
        await append(api, other_id, "a"),
        await api.post(f"/conversations/{conversation_id}/archive", headers=under("a")),
        await start(api, "a"),
    ]

    codes = {(answer.status_code, answer.json()["code"]) for answer in answers}
    assert codes == {(422, "idempotency_key_reused")}
    assert await texts(api, conversation_id) == ["ok"]
    assert await texts(api, other_id) == []
    assert (await append(api, conversation_id, "b")).status_code == 201  # It isn't archived.


def test_whatever_says_what_is_asked_for_is_in_the_fingerprint():
    make = RequestFactory().generic
    asked = [
        ("POST", "/a/b", b"{}"),
        ("PUT", "/a/b", b"{}"),
        ("POST", "/a/", b"b{}"),
        ("POST", "/a/b?c", b"{}"),
        ("POST", "/a/b?c", b"{} "),
        ("POST", "/a/b?c&c", b"{}"),
        ("POST", "/a/b", b"c{}"),
    ]

    requests = [make(method, path, body, "application/json") for method, path, body in asked]

    assert len({fingerprint(request) for request in requests}) == len(asked)
    assert fingerprint(make(*asked[0], "application/json")) == fingerprint(requests[0])


def fingerprint(request):
    tenant = type("Tenant", (), {"id": _uuid(1)})
    return service.RepeatableRequest.of(tenant, "key", "a", retries._asked(request)).fingerprint


def form(boundary, *parts):
    """parts: header of the part, and its value."""
    body = "".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n"
        for head, value in parts
    )
    return RequestFactory().generic(
        "POST",
        "/attachments",
        f"{body}--{boundary}--\r\n".encode(),
        f"multipart/form-data; boundary={boundary}",
    )


def test_a_form_is_known_by_its_parts_and_not_by_what_stands_between_them():
    file = ('name="file"; filename="a.txt"\r\nContent-Type: text/plain', "bytes" * 100_000)
    field = ('name="user_id"', "anna")
    first = form("one", file, field)

    assert fingerprint(first) == fingerprint(form("another", field, file))
    assert first.FILES["file"].read() == b"bytes" * 100_000  # The endpoint can still read it.
    others = [
        form("one", file),
        form("one", file, ('name="user_id"', "bert")),
        form("one", file, ('name="user"', "anna")),
        form("one", (file[0], "other"), field),
        form("one", (file[0].replace("a.txt", "b.txt"), file[1]), field),
        form("one", (file[0].replace("plain", "html"), file[1]), field),
    ]
    assert len({fingerprint(request) for request in [first, *others]}) == 7


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=é"])
async def test_a_form_that_cannot_be_read_is_no_fault_of_ours(api, conversation_id, content_type):
    answer = await api.post(
        f"/conversations/{conversation_id}/archive",
        content=b"--x\r\n",
        headers={"Content-Type": content_type.encode(), **under("a")},
    )

    assert answer.status_code in (400, 422)


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "é", "\t", "a\x7f"])
async def test_what_cannot_be_a_key_is_refused(api, key):
    answer = await api.post(
        "/conversations", json=STARTED, headers={"Idempotency-Key": key.encode()}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert await titles(api) == []


async def test_a_key_may_have_255_characters_of_any_kind_that_is_printed(api):
    key = "".join(chr(code) for code in range(0x21, 0x7F)).ljust(255, "~")

    first = await start(api, key)

    assert is_replay_of(first, await start(api, key))


# At the same time


async def test_fifty_at_once_under_one_key_are_one(api, conversation_id, patience):
    answers = await asyncio.gather(*(append(api, conversation_id, "a") for _ in range(50)))

    assert await texts(api, conversation_id) == ["ok"]
    done = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in done}) == 1
    assert len([each for each in done if "idempotent-replayed" not in each.headers]) == 1
    others = [answer for answer in answers if answer not in done]
    assert {(each.status_code, each.json()["code"]) for each in others} <= {
        (409, "idempotency_key_in_use")
    }
    assert (await append(api, conversation_id, "a")).content == done[0].content


@pytest.fixture
async def patience():
    """Fifty wait for ten connections, on a machine that may be busy."""
    await engine.dispose_engines()
    engine.configure(get_engine_settings().model_copy(update={"pool_timeout_seconds": 20}))
    yield
    await engine.dispose_engines()
    engine.configure(get_engine_settings())


@pytest.fixture
async def runtime():
    """A plain connection of the runtime login, which may see and end what its own backends do."""
    connection = await asyncpg.connect(get_engine_settings().runtime_url.get_secret_value())
    yield connection
    await connection.close()


@pytest.fixture
def gate(monkeypatch):
    """Holds every start of a conversation, after its writes and before its COMMIT."""
    opened, reached = asyncio.Event(), asyncio.Event()
    write = service.start_conversation

    async def start_and_wait(session, new):
        conversation = await write(session, new)
        reached.set()
        await opened.wait()
        return conversation

    monkeypatch.setattr(service, "start_conversation", start_and_wait)
    return reached, opened


async def test_while_the_first_is_under_way_others_are_told_so_at_once(api, gate):
    reached, opened = gate
    first = asyncio.create_task(start(api, "a"))
    await reached.wait()

    same = await asyncio.wait_for(start(api, "a"), 2)
    other = await asyncio.wait_for(start(api, "a", title="Other"), 2)
    opened.set()

    for answer in (same, other):
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_in_use")
        assert answer.headers["retry-after"] == "1"
    assert is_replay_of(await first, await start(api, "a"))
    assert (await start(api, "a", title="Other")).json()["code"] == "idempotency_key_reused"
    assert await titles(api) == ["Once"]


async def test_repeats_do_not_stand_in_each_others_way(api, patience):
    first = await start(api, "a")

    repeats = await asyncio.gather(*(start(api, "a") for _ in range(30)))

    assert all(is_replay_of(first, repeat) for repeat in repeats)


async def test_one_that_ends_between_look_and_lock_is_replayed(api, tenant, monkeypatch):
    """A statement sees what was committed when it began, and takes the lock a moment later."""
    first = await start(api, "a")
    look, looks = repository.find_answer, []

    async def look_too_early(session, digest, oldest):
        looks.append(digest)
        return (True, None) if len(looks) == 1 else await look(session, digest, oldest)

    monkeypatch.setattr(repository, "find_answer", look_too_early)

    assert is_replay_of(first, await start(api, "a"))
    assert len(looks) == 2
    assert await titles(api) == ["Once"]
    assert await count_kept(tenant) == 1


# What fails


async def test_an_error_leaves_nothing_and_the_same_key_can_be_tried_again(
    api, tenant, conversation_id
):
    await api.post(f"/conversations/{conversation_id}/archive")
    refused = [await append(api, conversation_id, "a") for _ in range(2)]
    invalid = await append(api, conversation_id, "a", content=7)
    assert [answer.status_code for answer in refused] == [409, 409]
    assert invalid.status_code == 422
    assert await count_kept(tenant) == 0

    await api.patch(f"/conversations/{conversation_id}", json={"status": "active"})

    first = await append(api, conversation_id, "a")
    assert first.status_code == 201
    assert is_replay_of(first, await append(api, conversation_id, "a"))


def exchange(tenant, key):
    headers = [
        *LOCAL,
        (b"content-type", b"application/json"),
        (b"authorization", f"Bearer {tenant.key}".encode()),
        (b"idempotency-key", key.encode()),
    ]
    return Exchange("POST", f"{API}/conversations", headers=headers, chunks=[orjson.dumps(STARTED)])


async def test_cut_off_between_commit_and_answer_the_retry_gets_the_same_result(
    application, api, tenant, monkeypatch
):
    cut, commit = exchange(tenant, "a"), ScopedTransaction.commit

    async def commit_and_cut(self):
        await commit(self)
        cut.disconnected.set()
        await asyncio.sleep(10)

    with monkeypatch.context() as patched:
        patched.setattr(ScopedTransaction, "commit", commit_and_cut)
        await asyncio.wait_for(cut.run(application), 5)
    assert cut.sent == []
    (written,) = (await api.get("/conversations")).json()["data"]

    retry = await exchange(tenant, "a").run(application)

    assert (retry.status, retry.headers["idempotent-replayed"]) == (201, "true")
    assert orjson.loads(retry.body)["id"] == written["id"]
    assert orjson.loads(retry.body)["messages"][0]["content"] == "ok"
    assert await titles(api) == ["Once"]


async def test_cut_off_before_the_commit_the_retry_is_the_first(
    application, api, tenant, gate, advisory_locks
):
    reached, opened = gate
    cut = exchange(tenant, "a")
    running = asyncio.create_task(cut.run(application))
    await reached.wait()
    assert await advisory_locks() == 1
    cut.disconnected.set()
    await asyncio.wait_for(running, 5)
    assert (cut.sent, await titles(api), await advisory_locks()) == ([], [], 0)

    opened.set()
    retry = await start(api, "a")

    assert retry.status_code == 201
    assert "idempotent-replayed" not in retry.headers
    assert await titles(api) == ["Once"]


async def test_a_commit_in_doubt_is_resolved_by_the_retry(api, monkeypatch):
    commit = ScopedTransaction.commit

    async def commit_and_lose_the_answer(self):
        await commit(self)
        raise ConnectionResetError

    with monkeypatch.context() as patched:
        patched.setattr(ScopedTransaction, "commit", commit_and_lose_the_answer)
        doubtful = await start(api, "a")
    assert (doubtful.status_code, doubtful.json()["code"]) == (503, "commit_in_doubt")

    retry = await start(api, "a")

    assert (retry.status_code, retry.headers["idempotent-replayed"]) == (201, "true")
    assert await titles(api) == ["Once"]


async def test_a_request_whose_backend_is_killed_is_run_again_under_its_key(
    api, runtime, monkeypatch, advisory_locks
):
    write, killed = service.start_conversation, set()

    async def start_and_be_killed(session, new):
        conversation = await write(session, new)
        if new.title not in killed:
            killed.add(new.title)
            await runtime.execute(
                "SELECT pg_terminate_backend($1)",
                await session.scalar(text("SELECT pg_backend_pid()")),
            )
            await session.scalar(text("SELECT 1"))
        return conversation

    monkeypatch.setattr(service, "start_conversation", start_and_be_killed)
    for number in range(10):
        answer = await start(api, f"key{number}", title=f"{number}")
        assert answer.status_code == 201, answer.text

    assert sorted(await titles(api)) == [f"{number}" for number in range(10)]
    assert len(killed) == 10
    assert await advisory_locks() == 0


@pytest.fixture
def advisory_locks(runtime):
    """How many of our locks are held in this database: of one number, not of two."""

    async def count():
        return await runtime.fetchval(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )

    return count


async def test_a_first_run_that_holds_its_key_for_a_moment_is_waited_for(api, monkeypatch):
    """The server may notice later than we do that a connection was cut."""
    write, runs = service.start_conversation, []
    look, looks = repository.find_answer, []

    async def start_and_be_cut_once(session, new):
        runs.append(new)
        if len(runs) == 1:
            raise ConnectionLost
        return await write(session, new)

    async def find_it_held_twice(session, digest, oldest):
        looks.append(digest)
        is_free, found = await look(session, digest, oldest)
        return (is_free and len(looks) not in (2, 3), found)

    monkeypatch.setattr(service, "start_conversation", start_and_be_cut_once)
    monkeypatch.setattr(repository, "find_answer", find_it_held_twice)

    assert (await start(api, "a")).status_code == 201
    assert (len(runs), len(looks)) == (2, 4)


# How long answers are kept


async def test_an_answer_is_kept_for_the_set_time(api, tenant):
    hours = get_settings().idempotency_hours
    first = await start(api, "a")
    await age(tenant, hours=hours, minutes=-1)
    assert is_replay_of(first, await start(api, "a"))

    await age(tenant, hours=hours, minutes=1)
    fresh = await start(api, "a")

    assert fresh.status_code == 201
    assert fresh.json()["id"] != first.json()["id"]
    assert is_replay_of(fresh, await start(api, "a"))
    assert await count_kept(tenant) == 1


async def test_answers_that_are_too_old_are_forgotten_in_batches(api, tenant):
    for number in range(5):
        await start(api, f"old{number}")
    await age(tenant, hours=get_settings().idempotency_hours, minutes=1)
    recent = await start(api, "recent")

    forgotten = []
    for _ in range(4):
        async with write_session(tenant.ref) as session:
            forgotten.append(await service.forget_answered_requests(session, 2))

    assert forgotten == [2, 2, 1, 0]
    assert is_replay_of(recent, await start(api, "recent"))


async def test_two_who_forget_at_once_do_not_wait_for_each_other(api, tenant):
    for number in range(4):
        await start(api, f"old{number}")
    await age(tenant, hours=get_settings().idempotency_hours, minutes=1)

    async with write_session(tenant.ref) as one, write_session(tenant.ref) as other:
        counts = [await service.forget_answered_requests(each, 3) for each in (one, other)]

    assert counts == [3, 1]


def test_an_answer_is_about_the_conversation_that_it_is_or_names():
    one, two = (f"conv_{number:032x}" for number in (1, 2))

    assert service.conversation_of({"id": one}, two) == _uuid(1)
    assert service.conversation_of({"id": "msg_1", "conversation_id": one}, two) == _uuid(1)
    assert service.conversation_of({"data": []}, two) == _uuid(2)
    assert service.conversation_of({"id": "att_1", "conversation_id": None}, None) is None
    assert service.conversation_of(None, None) is None


# The document


async def test_every_post_says_in_the_document_that_it_takes_a_key(client):
    paths = (await client.get("/api/openapi.json")).json()["paths"]
    takes_key = {
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "Idempotency-Key" and parameter["in"] == "header"
    }

    assert takes_key == {
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method == "post" and operation["tags"] == ["Conversations"]
    }
