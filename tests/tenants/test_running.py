"""What is under way when a tenant is suspended or a key revoked, and how much may be at once."""

import asyncio
import gc
import time

import orjson
import pytest
from django.http import HttpRequest, StreamingHttpResponse
from sqlalchemy import text

from tenants import errors, lifecycle
from tenants.db.unit_of_work import get_pool_state, read_session
from tenants.limits import Limits
from tenants.models import User
from tenants.running import RunningRequests, running
from tenants.testing import TESTER
from tests.project.exchange import LOCAL, Exchange
from tests.project.test_handler import slow_start  # noqa: F401  # A fixture.
from tests.tenants.people import join

PATH = "/api/v1/conversations"


def ask(key, method="GET", body=b""):
    headers = [
        *LOCAL,
        (b"content-type", b"application/json"),
        (b"authorization", f"Bearer {key}".encode()),
    ]
    return Exchange(method, PATH, headers=headers, chunks=[body])


async def until(holds, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)


def ticking():
    """A stream without an end, and a list of how each of its generators ended."""
    ended = []

    async def ticks():
        try:
            while True:
                yield "tick\n"
                await asyncio.sleep(0.02)
        finally:
            ended.append(True)

    return ticks, ended


@pytest.fixture
def streaming(monkeypatch):
    """Make the list of conversations a stream without an end."""
    ticks, ended = ticking()
    monkeypatch.setattr(
        "conversations.router.conversations.json_response",
        lambda *_: StreamingHttpResponse(ticks()),
    )
    return ended


async def begin(application, exchange):
    """Start an exchange; returns its task once it has been answered in part, or authenticated."""
    before = len(running._all)
    task = asyncio.create_task(exchange.run(application))
    await until(lambda: len(running._all) > before or task.done())
    return task


class TestEnded:
    async def test_a_suspended_tenants_stream_is_cut_within_a_second(
        self, application, make_tenant, streaming
    ):
        tenant, other = await make_tenant(), await make_tenant()
        ours, theirs = ask(tenant.key), ask(other.key)
        tasks = [await begin(application, exchange) for exchange in (ours, theirs)]
        await until(lambda: len(ours.sent) > 2 and len(theirs.sent) > 2)

        await lifecycle.suspend_tenant(tenant.slug, by=TESTER)

        async with asyncio.timeout(1):
            await asyncio.wait([tasks[0]])
        assert streaming == [True]
        # Cut off, and not ended as if it were whole.
        assert ours.sent[-1].get("more_body") is True
        sent = len(theirs.sent)
        await until(lambda: len(theirs.sent) > sent + 2)
        theirs.disconnected.set()
        await asyncio.wait_for(tasks[1], 5)

    async def test_a_suspended_tenants_request_is_refused_and_leaves_nothing(
        self,
        application,
        tenant,
        slow_start,  # noqa: F811
    ):
        exchange = ask(tenant.key, "POST", b'{"title": "half"}')
        task = await begin(application, exchange)
        await until(lambda: get_pool_state().in_use > 0)

        await lifecycle.suspend_tenant(tenant.slug, by=TESTER)

        async with asyncio.timeout(1):
            await asyncio.wait([task])
        assert exchange.status == 403
        assert orjson.loads(exchange.body)["code"] == "tenant_suspended"
        await until(lambda: get_pool_state().in_use == 0)
        async with read_session(tenant.ref) as session:
            assert await session.scalar(text("SELECT count(*) FROM conversations")) == 0

    @pytest.mark.parametrize("ending", ["revoked", "deleted", "module"])
    async def test_whatever_ends_a_callers_pass_ends_its_stream(
        self, application, tenant, streaming, ending
    ):
        exchange = ask(tenant.key)
        task = await begin(application, exchange)
        await until(lambda: len(exchange.sent) > 2)

        if ending == "revoked":
            key = tenant.key.split("_")[1]
            await lifecycle.revoke_key(tenant.slug, key, by=TESTER)
        elif ending == "deleted":
            await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        else:
            await lifecycle.disable_module(tenant.slug, "sample", by=TESTER)
            await lifecycle.disable_module(tenant.slug, "conversations", by=TESTER)

        async with asyncio.timeout(1):
            await asyncio.wait([task])
        assert streaming == [True]

    @pytest.mark.parametrize("ending", ["removed", "deactivated", "new password"])
    async def test_a_member_who_may_not_go_on_loses_the_stream(
        self, application, tenant, streaming, ending
    ):
        person = await join(tenant)
        headers = [
            (name.lower().encode(), value.encode())
            for name, value in person.headers(tenant).items()
        ]
        exchange = Exchange("GET", PATH, headers=[*LOCAL, *headers])
        task = await begin(application, exchange)
        await until(lambda: len(exchange.sent) > 2)

        if ending == "removed":
            await lifecycle.remove_member(tenant.slug, person.user.email, by=TESTER)
        elif ending == "deactivated":
            await User.objects.filter(pk=person.user.pk).aupdate(is_active=False)
        else:
            person.user.set_unusable_password()
            await person.user.asave()

        async with asyncio.timeout(1):
            await asyncio.wait([task])
        assert streaming == [True]

    async def test_a_change_that_is_no_refusal_ends_nothing(self, application, tenant, streaming):
        exchange = ask(tenant.key)
        task = await begin(application, exchange)

        await lifecycle.change_tenant(tenant.slug, limits={"concurrent_requests": 1}, by=TESTER)
        await lifecycle.issue_key(tenant.slug, "Another", by=TESTER)
        await asyncio.sleep(0.6)
        sent = len(exchange.sent)
        await until(lambda: len(exchange.sent) > sent + 2)

        assert not task.done()
        exchange.disconnected.set()
        await asyncio.wait_for(task, 5)

    async def test_it_is_logged_as_what_it_is(self, application, tenant, streaming, logged):
        task = await begin(application, ask(tenant.key))

        await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
        await asyncio.wait([task], timeout=2)

        ended = [entry for entry in logged if entry["event"] == "request.ended"]
        assert [(event["code"], event["tenant"]) for event in ended] == [
            ("tenant_suspended", tenant.slug)
        ]
        assert not [entry for entry in logged if entry["level"] == "error"]

    async def test_nothing_is_left_over(self, application, tenant):
        for _ in range(5):
            await ask(tenant.key).run(application)
            await ask("nonsense").run(application)
        assert not running._all
        assert not running._by_tenant

    async def test_the_garbage_collector_has_nothing_to_do(self, application, tenant):
        asked = ask(tenant.key)
        asked.scope["headers"].append((b"x-request-id", b"left-over"))
        gc.collect()
        gc.disable()
        try:
            await asked.run(application)
            requests = [each for each in gc.get_objects() if isinstance(each, HttpRequest)]
        finally:
            gc.enable()
        assert "left-over" not in [getattr(each, "request_id", "") for each in requests]


class TestLimit:
    async def test_a_tenant_over_its_limit_is_refused_and_the_others_are_not(
        self, application, make_tenant, streaming, monkeypatch
    ):
        noisy, quiet = await make_tenant(), await make_tenant()
        await lifecycle.change_tenant(noisy.slug, limits={"concurrent_requests": 2}, by=TESTER)
        await asyncio.sleep(0.5)
        exchanges = [ask(noisy.key) for _ in range(2)]
        tasks = [await begin(application, exchange) for exchange in exchanges]
        await until(lambda: all(exchange.sent for exchange in exchanges))

        refused = await ask(noisy.key).run(application)

        assert refused.status == 429
        assert orjson.loads(refused.body)["code"] == "too_many_requests"
        assert refused.headers["retry-after"] == "1"
        monkeypatch.undo()
        assert (await ask(quiet.key).run(application)).status == 200
        exchanges[0].disconnected.set()
        await asyncio.wait_for(tasks[0], 5)
        assert (await ask(noisy.key).run(application)).status == 200
        exchanges[1].disconnected.set()
        await asyncio.wait_for(tasks[1], 5)

    async def test_a_plans_limit_holds_where_the_tenant_has_none_of_its_own(self, tenant):
        requests = RunningRequests()
        limits = Limits(concurrent_requests=1)

        async def check():
            return None

        first, second = (requests.enter(asyncio.current_task()) for _ in range(2))
        requests.admit(first, tenant.ref.id, limits, check)
        with pytest.raises(errors.TooManyRequests):
            requests.admit(second, tenant.ref.id, limits, check)
        # Asked again, as when the registry has changed, it is not counted again.
        requests.admit(first, tenant.ref.id, limits, check)
        requests.leave(first)
        requests.admit(second, tenant.ref.id, limits, check)
        requests.leave(second)
