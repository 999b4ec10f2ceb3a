import asyncio
import time

import asyncpg
import orjson
import pytest
from asgiref.sync import SyncToAsync
from django.db.backends.base.base import BaseDatabaseWrapper
from django.http import HttpResponse, StreamingHttpResponse
from sqlalchemy import text

from conversations import service
from tenants.apps import get_settings
from tenants.db.unit_of_work import get_pool_state
from tenants.errors import ScopeMissing
from tests.project.exchange import LOCAL, Exchange

PATH = "/api/v1/conversations"


def ask(tenant, method="GET", path=PATH, body=b""):
    headers = [
        *LOCAL,
        (b"content-type", b"application/json"),
        (b"authorization", f"Bearer {tenant.key}".encode()),
    ]
    return Exchange(method, path, headers=headers, chunks=[body])


async def until(holds, seconds=5.0):
    """Wait for a condition, itself perhaps awaited."""
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.02)


async def is_sleeping_in_the_database():
    # As the same login, which may see what its own backends do.
    connection = await asyncpg.connect(get_settings().runtime_url.get_secret_value())
    try:
        return await connection.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"
        )
    finally:
        await connection.close()


@pytest.fixture
def slow_start(monkeypatch):
    """Starting a conversation writes it, and then takes the database a minute."""
    start = service.start_conversation

    async def start_slowly(session, new):
        await start(session, new)
        await session.execute(text("SELECT set_config('statement_timeout', '0', true)"))
        await session.execute(text("SELECT pg_sleep(60)"))

    monkeypatch.setattr(service, "start_conversation", start_slowly)


@pytest.fixture
def answered_with(monkeypatch):
    """Make the list of conversations answer with a given response."""

    def use(response):
        monkeypatch.setattr(
            "conversations.router.conversations.json_response", lambda *_arguments: response
        )

    return use


async def is_not_sleeping():
    return not await is_sleeping_in_the_database()


async def test_a_client_that_disconnects_cancels_the_work_and_frees_its_connection(
    application, make_tenant, slow_start
):
    tenant, other = await make_tenant(), await make_tenant()
    exchange = ask(tenant, "POST", body=b"{}")
    running = asyncio.create_task(exchange.run(application))
    await until(is_sleeping_in_the_database)
    assert get_pool_state().in_use == 1

    exchange.disconnected.set()
    await asyncio.wait_for(running, 5)

    assert exchange.sent == []
    assert get_pool_state().in_use == 0
    await until(is_not_sleeping)
    for caller in (other, tenant):
        # The same connection, perhaps: clean, and without what was cut off.
        answer = await ask(caller).run(application)
        assert (answer.status, orjson.loads(answer.body)["data"]) == (200, [])


async def test_a_hundred_disconnects_leave_the_pool_as_it_was(application, tenant, slow_start):
    for _ in range(10):
        exchanges = [ask(tenant, "POST", body=b"{}") for _ in range(10)]
        running = [asyncio.create_task(exchange.run(application)) for exchange in exchanges]
        await asyncio.sleep(0.02)  # Some have begun, some have written, some sleep.
        for exchange in exchanges:
            exchange.disconnected.set()
        await asyncio.wait_for(asyncio.gather(*running), 10)

    assert (get_pool_state().in_use, get_pool_state().waiting) == (0, 0)
    answer = await ask(tenant).run(application)
    assert (answer.status, orjson.loads(answer.body)["data"]) == (200, [])


async def test_a_request_that_the_server_cancels_ends_as_cancelled_and_is_rolled_back(
    application, tenant, slow_start
):
    running = asyncio.create_task(ask(tenant, "POST", body=b"{}").run(application))
    await until(is_sleeping_in_the_database)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert get_pool_state().in_use == 0
    answer = await ask(tenant).run(application)
    assert orjson.loads(answer.body)["data"] == []


async def test_a_disconnect_is_logged_as_such_with_its_tenant(
    application, tenant, slow_start, logged
):
    exchange = ask(tenant, "POST", body=b"{}")
    running = asyncio.create_task(exchange.run(application))
    await until(is_sleeping_in_the_database)

    exchange.disconnected.set()
    await running

    (line,) = [entry for entry in logged if entry["logger"] == "project.gateway"]
    assert (line["status"], line["tenant"]) == (499, tenant.slug)


async def test_a_disconnect_after_the_answer_changes_nothing(application, tenant):
    exchange = ask(tenant, "POST", body=b"{}")

    async def send(message):
        exchange.sent.append(message)
        exchange.disconnected.set()  # As a server reports the end of a response, too.
        await asyncio.sleep(0)

    exchange.send = send
    await exchange.run(application)

    assert exchange.status in {200, 201}
    assert not asyncio.current_task().cancelling()
    answer = await ask(tenant).run(application)
    assert len(orjson.loads(answer.body)["data"]) == 1


# Streams


async def test_a_stream_is_sent_part_by_part(application, tenant, answered_with):
    async def parts():
        for part in ("a", "b", "ü"):
            yield part

    answered_with(StreamingHttpResponse(parts(), content_type="text/event-stream"))

    exchange = await ask(tenant).run(application)

    assert exchange.headers["content-type"] == "text/event-stream"
    assert "content-length" not in exchange.headers
    assert [message.get("body", b"") for message in exchange.sent[1:]] == [
        b"a",
        b"b",
        "ü".encode(),
        b"",
    ]
    assert [message.get("more_body", False) for message in exchange.sent[1:]] == [
        True,
        True,
        True,
        False,
    ]


async def test_a_disconnect_ends_a_stream_that_waits_for_its_next_part(
    application, tenant, answered_with
):
    closed = []

    async def parts():
        try:
            yield "first"
            await asyncio.sleep(60)
        finally:
            closed.append(True)

    answered_with(StreamingHttpResponse(parts()))
    exchange = ask(tenant)
    running = asyncio.create_task(exchange.run(application))

    async def has_begun():
        return len(exchange.sent) == 2

    await until(has_begun)
    exchange.disconnected.set()
    await asyncio.wait_for(running, 5)

    assert closed == [True]
    assert exchange.body == b"first"


async def test_a_disconnect_ends_a_stream_whose_reader_is_slow(application, tenant, answered_with):
    closed = []

    async def parts():
        try:
            while True:
                yield "part"
        finally:
            await asyncio.sleep(0)  # What it holds may take an await to give back.
            closed.append(True)

    answered_with(StreamingHttpResponse(parts()))
    exchange = ask(tenant)

    async def send_slowly(message):
        exchange.sent.append(message)
        if len(exchange.sent) == 3:
            exchange.disconnected.set()
            await asyncio.sleep(60)

    exchange.send = send_slowly
    await asyncio.wait_for(exchange.run(application), 5)

    assert closed == [True]
    assert len(exchange.sent) == 3


async def test_a_stream_that_breaks_is_not_ended_as_if_it_were_whole(
    application, tenant, answered_with
):
    async def parts():
        yield "first"
        raise RuntimeError("broken")

    answered_with(StreamingHttpResponse(parts()))
    exchange = ask(tenant)

    with pytest.raises(RuntimeError):
        await exchange.run(application)

    assert exchange.sent[-1]["more_body"]
    assert (await ask(tenant, path=f"{PATH}/conv_x").run(application)).status == 404


async def test_a_stream_that_is_denied_is_denied_before_its_first_byte(
    application, tenant, monkeypatch
):
    async def deny(*_arguments):
        raise ScopeMissing("admin")

    monkeypatch.setattr(service, "list_conversations", deny)

    exchange = await ask(tenant).run(application)

    assert (exchange.status, exchange.problem["code"]) == (403, "scope_missing")


async def test_headers_and_cookies_of_a_response_are_sent(application, tenant, answered_with):
    response = HttpResponse("x", headers={"X-More": "y"}, content_type="text/plain")
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2")
    answered_with(response)

    exchange = await ask(tenant).run(application)

    pairs = exchange.sent[0]["headers"]
    assert (b"x-more", b"y") in pairs
    assert [value for name, value in pairs if name == b"set-cookie"] == [
        b"a=1; HttpOnly; Path=/",
        b"b=2; Path=/",
    ]
    assert dict(pairs)[b"content-length"] == b"1"


# Defects


@pytest.mark.parametrize("error", [RuntimeError("internal detail"), KeyError("internal detail")])
async def test_a_defect_is_answered_with_a_bare_500_and_the_service_goes_on(
    application, tenant, monkeypatch, error
):
    async def fail(*_arguments):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(service, "list_conversations", fail)
        exchange = await ask(tenant).run(application)

    assert (exchange.status, exchange.problem["code"]) == (500, "internal_error")
    for word in (b"Traceback", b"internal detail", b"Error", b".py", b"SELECT"):
        assert word not in exchange.body
    assert (await ask(tenant).run(application)).status == 200
    assert get_pool_state().in_use == 0


async def test_the_api_opens_no_django_connection_and_enters_no_thread(
    application, tenant, api, monkeypatch
):
    def refuse(*_arguments, **_options):
        raise AssertionError("the tenant API must do without this")

    monkeypatch.setattr(BaseDatabaseWrapper, "connect", refuse)
    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", refuse)
    monkeypatch.setattr(SyncToAsync, "__call__", refuse)
    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refuse, raising=False)

    started = await api.post(
        "/conversations", json={"messages": [{"role": "user", "content": "x"}]}
    )
    path = f"/conversations/{started.json()['id']}"
    answers = [
        started,
        await api.get("/conversations"),
        await api.get(f"{path}/messages"),
        await api.patch(path, json={"title": "x"}),
        await api.get(f"{path}/messages", headers={"Host": f"{tenant.slug}.localhost"}),
    ]
    unknown_key = await ask(tenant).run(application)

    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200]
    assert unknown_key.status == 200
