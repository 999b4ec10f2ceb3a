"""The live feed of a conversation."""

import asyncio
import contextlib

import pytest

from conversations import service
from conversations.schemas import NewMessage
from conversations.service import feed
from tenants import lifecycle
from tenants.db import engine
from tenants.db.unit_of_work import get_pool_state, write_session
from tenants.running import running
from tenants.streams import hub
from tenants.testing import TESTER
from tests.conversations.test_router import append, log_of, start
from tests.sse import open_stream
from tests.tenants.cuts import cut_connections

USER = {"role": "user", "content": "Hello"}
CALL = {"call_id": "call_1", "name": "get_weather", "arguments": {"city": "Oslo"}}


@pytest.fixture
async def conversation(api):
    return await start(api, messages=[USER, USER], user_id="user-7")


@pytest.fixture
async def few_connections(application, with_settings):
    await engine.dispose_engines()
    with_settings(pool_size=2, pool_timeout_seconds=20.0)
    yield
    await engine.dispose_engines()


def path_of(conversation, query=""):
    return f"/conversations/{conversation['id']}/events{query}"


class TestMessages:
    async def test_they_come_as_the_api_shows_them(self, application, tenant, api, conversation):
        async with open_stream(application, tenant.key, path_of(conversation)) as stream:
            await append(
                api,
                conversation,
                {"role": "assistant", "content": "Line\none", "tool_calls": [CALL]},
                {"role": "tool", "call_id": "call_1", "content": "12 °C"},
            )
            events = await stream.take(2)

        assert stream.exchange.status == 200
        assert stream.exchange.headers["content-type"] == "text/event-stream"
        assert stream.exchange.headers["cache-control"] == "no-store"
        assert stream.reader.retry_ms == 2000
        assert [event.id for event in events] == ["3", "4"]
        assert [event.data for event in events] == (await log_of(api, conversation))[2:]

    async def test_a_stream_begins_where_it_is_told_to(
        self, application, tenant, api, conversation
    ):
        await append(api, conversation, USER)
        for query, last_id, first in (
            ("", None, None),
            ("?after=0", None, 1),
            ("?after=1", None, 2),
            ("?after=3", None, None),
            ("", "2", 3),
            ("?after=0", "2", 3),  # A reader's own position goes before the URL's.
        ):
            async with open_stream(
                application, tenant.key, path_of(conversation, query), last_id
            ) as stream:
                if first is None:
                    await stream.silence(0.3)
                else:
                    assert (await stream.next()).id == str(first)

    @pytest.mark.parametrize(
        ("query", "last_id"),
        [
            ("?after=x", None),
            ("?after=-1", None),
            ("?after=3", None),
            ("?after=9223372036854775808", None),
            ("?unknown=1", None),
            ("", ""),
            ("", "x"),
            ("", "-1"),
            ("", "+1"),
            ("", " 1 1"),
            ("", "3"),
            ("", "9" * 19),
            ("", "9" * 5000),
        ],
    )
    async def test_a_position_that_is_none_is_refused(
        self, application, tenant, conversation, query, last_id
    ):
        async with open_stream(
            application, tenant.key, path_of(conversation, query), last_id, ready=False
        ) as stream:
            await stream.ended()
        assert (stream.exchange.status, stream.exchange.problem["code"]) == (422, "invalid_input")

    async def test_a_long_log_comes_in_order(self, application, tenant, api, conversation):
        count = feed.PAGE_MESSAGES * 2 - 2
        await append(api, conversation, *[USER] * count)
        async with open_stream(
            application, tenant.key, path_of(conversation, "?after=0")
        ) as stream:
            events = await stream.take(count + 2)
            assert [int(event.id) for event in events] == list(range(1, count + 3))
            await append(api, conversation, USER)
            assert (await stream.next()).id == str(count + 3)

    async def test_what_is_not_committed_is_not_sent(self, application, tenant, api, conversation):
        async with open_stream(application, tenant.key, path_of(conversation)) as stream:
            async with write_session(tenant.ref) as session:
                new = NewMessage(**USER)
                await service.append_messages(session, conversation["id"], [new])
                await stream.silence()
            assert (await stream.next()).id == "3"

            with contextlib.suppress(ZeroDivisionError):
                async with write_session(tenant.ref) as session:
                    await service.append_messages(session, conversation["id"], [new])
                    raise ZeroDivisionError
            await stream.silence()

    async def test_many_readers_and_writers_see_one_order(
        self, application, tenant, api, conversation
    ):
        async def read():
            path, last_id, seen = path_of(conversation, "?after=0"), None, []
            while len(seen) < 42:
                async with open_stream(application, tenant.key, path, last_id) as stream:
                    # It breaks off now and then, and goes on from where it was.
                    for _ in range(min(5, 42 - len(seen))):
                        seen.append(int((await stream.next("message", 20)).id))
                    last_id = stream.last_id
            return seen

        readers = [asyncio.create_task(read()) for _ in range(10)]
        await asyncio.gather(*(append(api, conversation, USER) for _ in range(40)))

        for seen in await asyncio.gather(*readers):
            assert seen == list(range(1, 43))


class TestEnds:
    async def test_a_deleted_conversation_ends_its_streams(
        self, application, tenant, api, conversation
    ):
        async with open_stream(application, tenant.key, path_of(conversation)) as stream:
            await api.delete(f"/conversations/{conversation['id']}")
            event = await stream.next()
            await stream.ended()

        assert (event.name, event.data) == ("deleted", {"conversation_id": conversation["id"]})
        assert stream.exchange.sent[-1].get("more_body", False) is False
        async with open_stream(
            application, tenant.key, path_of(conversation), ready=False
        ) as stream:
            await stream.ended()
        assert (stream.exchange.status, stream.exchange.problem["code"]) == (
            404,
            "conversation_not_found",
        )

    async def test_a_suspended_tenants_stream_is_cut(self, application, tenant, conversation):
        async with open_stream(application, tenant.key, path_of(conversation)) as stream:
            await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
            await stream.ended(1)
            assert stream.exchange.sent[-1]["more_body"] is True
        async with open_stream(
            application, tenant.key, path_of(conversation), ready=False
        ) as stream:
            await stream.ended()
        assert (stream.exchange.status, stream.exchange.problem["code"]) == (
            403,
            "tenant_suspended",
        )

    async def test_a_closing_hub_ends_all_streams_as_whole_ones(
        self, application, tenant, conversation
    ):
        async with open_stream(application, tenant.key, path_of(conversation)) as stream:
            hub.close()
            await stream.ended()
            assert stream.exchange.sent[-1].get("more_body", False) is False
            async with open_stream(application, tenant.key, path_of(conversation)) as late:
                await late.ended()
        await hub.stop()
        hub.start()

    async def test_nothing_is_left_of_a_stream(self, application, tenant, api, conversation):
        for _ in range(3):
            async with open_stream(application, tenant.key, path_of(conversation)) as stream:
                await append(api, conversation, USER)
                await stream.next()
        await asyncio.sleep(0.1)
        assert (hub._watchers, running._all, dict(running._streams)) == ({}, set(), {})
        assert get_pool_state().in_use == 0


class TestPatience:
    async def test_a_silent_stream_is_kept_alive(
        self, application, tenant, conversation, with_settings
    ):
        with_settings(stream_heartbeat_seconds=0.05)
        async with open_stream(application, tenant.key, path_of(conversation)) as stream:
            await stream.silence(0.5)
            assert 3 < stream.reader.comments < 12

    async def test_a_reader_that_does_not_read_is_dropped(
        self, application, tenant, api, conversation, with_settings, logged
    ):
        with_settings(stream_send_timeout_seconds=0.2)
        async with open_stream(application, tenant.key, path_of(conversation)) as stream:
            stream.stalled = True
            await append(api, conversation, USER)
            await stream.ended(3)
            assert stream.exchange.sent[-1]["more_body"] is True
        assert not [entry for entry in logged if entry["level"] == "error"]

    @pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.slow)])
    async def test_many_idle_streams_hold_no_connection(
        self, application, tenant, api, few_connections, with_settings, count
    ):
        with_settings(pool_size=2, pool_timeout_seconds=20.0, streams_per_tenant=count)
        conversations = [await start(api) for _ in range(5)]
        async with contextlib.AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(
                    open_stream(application, tenant.key, path_of(conversations[number % 5]))
                )
                for number in range(count)
            ]
            assert (await api.get("/conversations")).status_code == 200
            assert get_pool_state().size == 2

            await append(api, conversations[3], USER)
            for stream in streams[3::5]:
                assert (await stream.next("message", 10)).id == "1"
            await asyncio.sleep(0.05)
            assert get_pool_state().in_use <= 1
            refused = await stack.enter_async_context(
                open_stream(application, tenant.key, path_of(conversations[0]), ready=False)
            )
            await refused.ended()
            assert refused.exchange.problem["code"] == "too_many_streams"

    async def test_it_outlives_the_connections_of_the_database(
        self, application, tenant, api, conversation
    ):
        async with open_stream(application, tenant.key, path_of(conversation)) as stream:
            for seq in (3, 4):
                await cut_connections()
                await append(api, conversation, USER)
                assert (await stream.next()).id == str(seq)


class TestLimit:
    async def test_streams_count_for_themselves(self, application, tenant, api, conversation):
        limits = {"concurrent_streams": 2, "concurrent_requests": 1}
        await lifecycle.change_tenant(tenant.slug, limits=limits, by=TESTER)
        await asyncio.sleep(0.5)
        path = path_of(conversation)
        async with (
            open_stream(application, tenant.key, path),
            open_stream(application, tenant.key, path) as second,
        ):
            async with open_stream(application, tenant.key, path, ready=False) as third:
                await third.ended()
            assert (third.exchange.status, third.exchange.problem["code"]) == (
                429,
                "too_many_streams",
            )
            assert third.exchange.headers["retry-after"] == "5"
            assert (await api.get("/conversations")).status_code == 200
            await second.leave()
            async with open_stream(application, tenant.key, path):
                pass


class TestDrafts:
    async def test_they_are_passed_on_and_kept_nowhere(
        self, application, tenant, api, conversation
    ):
        path = f"/conversations/{conversation['id']}/drafts/draft-1"
        async with (
            open_stream(application, tenant.key, path_of(conversation)) as first,
            open_stream(application, tenant.key, path_of(conversation)) as second,
        ):
            for index, delta in enumerate(["It is ", "\nraining"]):
                answer = await api.post(path, json={"delta": delta, "index": index})
                assert answer.status_code == 204
            for stream in (first, second):
                events = await stream.take(2, "draft")
                assert [event.data for event in events] == [
                    {"draft_id": "draft-1", "delta": "It is ", "index": 0},
                    {"draft_id": "draft-1", "delta": "\nraining", "index": 1},
                ]
                assert [event.id for event in events] == [None, None]
        assert len(await log_of(api, conversation)) == 2

    async def test_they_reach_no_other_conversation_and_no_other_tenant(
        self, application, tenant, api, conversation, make_tenant
    ):
        other = await start(api)
        stranger = await make_tenant()
        async with open_stream(application, tenant.key, path_of(other)) as stream:
            await api.post(f"/conversations/{conversation['id']}/drafts/d", json={"delta": "x"})
            await stream.silence(0.3)
        answer = await api.post(
            f"/conversations/{conversation['id']}/drafts/d",
            json={"delta": "x"},
            headers=stranger.headers,
        )
        assert answer.status_code == 404

    @pytest.mark.parametrize(
        "draft",
        [{}, {"delta": ""}, {"delta": "é" * 3000}, {"delta": "x", "index": -1}, {"delta": 1}],
    )
    async def test_what_is_no_draft_is_refused(self, api, conversation, draft):
        answer = await api.post(f"/conversations/{conversation['id']}/drafts/d", json=draft)
        assert answer.status_code == 422

    async def test_an_archived_conversation_takes_none(self, api, conversation):
        await api.post(f"/conversations/{conversation['id']}/archive")
        answer = await api.post(
            f"/conversations/{conversation['id']}/drafts/d", json={"delta": "x"}
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "conversation_archived")

    async def test_a_reader_that_falls_behind_loses_the_oldest(
        self, application, tenant, conversation
    ):
        topic = feed.Topic(feed.CONVERSATION, feed.conversation_key(conversation["id"]).hex)
        async with open_stream(application, tenant.key, path_of(conversation)) as stream:
            for number in range(1000):
                hub.say(tenant.ref, topic, b"%d" % number)
            first = await stream.next("draft")
            assert first.data == 1000 - 256
