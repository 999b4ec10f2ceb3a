"""The live feed of all conversations of an end user."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from conversations import service
from conversations.schemas import NewMessage
from conversations.service import user_feed
from conversations.statements import active_statement, activity_statement
from tenants.db import unit_of_work
from tenants.db.pagination import encode_cursor
from tenants.db.unit_of_work import write_session
from tenants.errors import StatementTimeout
from tests.conversations.test_feed import USER
from tests.conversations.test_router import append, log_of, start
from tests.sse import EventReader, open_stream

PATH = "/events?user_id=user-7"
NEW = NewMessage(role="user", content="late")


@pytest.fixture
def tenant(empty_tenant):
    return empty_tenant


@pytest.fixture
def window(monkeypatch):
    """Make the window small, so that a test sees what happens beyond it."""

    def use(seconds):
        for module in (user_feed, service.feed):
            monkeypatch.setattr(module, "get_window", lambda: timedelta(seconds=seconds))

    return use


class TestMessages:
    async def test_those_of_all_the_users_conversations_come(self, application, tenant, api):
        first = await start(api, user_id="user-7", messages=[USER])
        async with open_stream(application, tenant.key, PATH) as stream:
            second = await start(api, user_id="user-7", messages=[USER, USER])
            events = await stream.take(2)
            await start(api, user_id="user-8", messages=[USER])
            await start(api, messages=[USER])
            await append(api, first, USER)
            events.append(await stream.next())
            await stream.silence(0.5)

        assert [(event.data["conversation_id"], event.data["seq"]) for event in events] == [
            (second["id"], 1),
            (second["id"], 2),
            (first["id"], 2),
        ]
        assert [event.data for event in events[:2]] == await log_of(api, second)

    async def test_what_a_branch_took_over_does_not_come_again(self, application, tenant, api):
        first = await start(api, user_id="user-7", messages=[USER, USER])
        async with open_stream(application, tenant.key, PATH) as stream:
            forked = await api.post(f"/conversations/{first['id']}/forks", json={"at_seq": 2})
            branch = forked.json()
            await append(api, branch, USER)
            event = await stream.next()
            await stream.silence(0.5)

        assert (event.data["conversation_id"], event.data["seq"]) == (branch["id"], 3)

    async def test_each_event_is_a_place_to_go_on_from(self, application, tenant, api):
        async with open_stream(application, tenant.key, PATH) as stream:
            beginning = stream.last_id
            conversations = [await start(api, user_id="user-7") for _ in range(3)]
            for conversation in conversations * 2:
                await append(api, conversation, USER)
            events = await stream.take(6)

        everything = {(event.data["conversation_id"], event.data["seq"]) for event in events}
        assert len(everything) == 6
        for count, last_id in enumerate([beginning, *(event.id for event in events)]):
            seen = {(event.data["conversation_id"], event.data["seq"]) for event in events[:count]}
            for query, header in ((PATH, last_id), (f"{PATH}&after={last_id}", None)):
                async with open_stream(application, tenant.key, query, header) as stream:
                    rest = await stream.take(6 - count)
                    got = {(event.data["conversation_id"], event.data["seq"]) for event in rest}
                    assert got == everything - seen
                    await stream.silence(0.05)

    @pytest.mark.parametrize("listing", [["user events", "user-8"], ["conversations"]])
    async def test_a_cursor_of_another_list_is_refused(
        self, application, tenant, make_tenant, listing
    ):
        stranger = await make_tenant()
        now = datetime.now(UTC)
        for last_id in (
            "x",
            "é",
            encode_cursor(tenant.ref, listing, [now, ""]),
            encode_cursor(stranger.ref, ["user events", "user-7"], [now, ""]),
            encode_cursor(tenant.ref, ["user events", "user-7"], [now, "x"]),
            encode_cursor(tenant.ref, ["user events", "user-7"], [now, "x:1"]),
            encode_cursor(tenant.ref, ["user events", "user-7"], [now, f"{'0' * 32}:-1"]),
            encode_cursor(tenant.ref, ["user events", "user-7"], [now, f"{'0' * 32}:{2**63}"]),
        ):
            async with open_stream(application, tenant.key, PATH, last_id, ready=False) as stream:
                await stream.ended()
            assert (stream.exchange.status, stream.exchange.problem["code"]) == (
                400,
                "invalid_cursor",
            )

    async def test_a_user_must_be_named(self, application, tenant):
        async with open_stream(application, tenant.key, "/events", ready=False) as stream:
            await stream.ended()
        assert stream.exchange.status == 422


class TestExactness:
    async def test_a_transaction_that_commits_late_is_not_passed_by(self, application, tenant, api):
        slow = await start(api, user_id="user-7", messages=[USER])
        fast = await start(api, user_id="user-7", messages=[USER])
        async with open_stream(application, tenant.key, PATH) as stream:
            async with write_session(tenant.ref) as session:
                await service.append_messages(session, slow["id"], [NEW])
                for _ in range(3):
                    await append(api, fast, USER)
                    assert (await stream.next()).data["conversation_id"] == fast["id"]
                    await asyncio.sleep(0.2)
            assert (await stream.next()).data["content"] == "late"

    async def test_so_it_is_for_a_reader_that_comes_back(self, application, tenant, api, window):
        window(1.0)
        slow, fast = [await start(api, user_id="user-7", messages=[USER]) for _ in range(2)]
        await asyncio.sleep(1.2)  # Both have left the window: the reader knows neither.
        async with (
            open_stream(application, tenant.key, PATH) as stream,
            write_session(tenant.ref) as session,
        ):
            await service.append_messages(session, slow["id"], [NEW])
            await append(api, fast, USER)
            last_id = (await stream.next()).id
            await stream.leave()
        async with open_stream(application, tenant.key, PATH, last_id) as stream:
            assert (await stream.next()).data["content"] == "late"
            await stream.silence(0.5)

    async def test_a_conversation_that_slept_goes_on_where_it_was(
        self, application, tenant, api, window
    ):
        window(0.15)
        conversation = await start(api, user_id="user-7", messages=[USER, USER])
        other = await start(api, user_id="user-7")
        async with open_stream(application, tenant.key, PATH) as stream:
            for seq in (3, 4, 5):
                await asyncio.sleep(0.25)
                await append(api, other, USER)  # Its event's id knows nothing of the sleeping one.
                assert (await stream.next()).data["conversation_id"] == other["id"]
                await append(api, conversation, USER)
                event = await stream.next()
                assert (event.data["conversation_id"], event.data["seq"]) == (
                    conversation["id"],
                    seq,
                )
            await stream.silence(0.3)

    async def test_a_clock_that_goes_back_repeats_nothing(self, application, tenant, api, window):
        window(0.2)
        await start(api, user_id="user-7", messages=[USER])
        other = await start(api, user_id="user-7")
        await asyncio.sleep(0.4)  # From here on the first one is past.
        async with open_stream(application, tenant.key, PATH) as stream:
            for seconds in (0.2, 60, 60):
                window(seconds)  # As if it were earlier now.
                await append(api, other, USER)
                assert (await stream.next()).data["conversation_id"] == other["id"]
            await stream.silence(0.3)

    async def test_a_position_forgets_what_is_long_past(self, application, tenant, api, window):
        window(0.1)
        async with open_stream(application, tenant.key, PATH) as stream:
            lengths = []
            for _ in range(8):
                await start(api, user_id="user-7", messages=[USER])
                lengths.append(len((await stream.next()).id))
                await asyncio.sleep(0.15)
        assert max(lengths) < 350

    async def test_a_position_that_is_too_long_is_not_sent_and_nothing_is_lost(
        self, application, tenant, api, monkeypatch
    ):
        monkeypatch.setattr(user_feed, "_MAX_CURSOR_CHARACTERS", 150)
        async with open_stream(application, tenant.key, PATH) as stream:
            for _ in range(8):
                await start(api, user_id="user-7", messages=[USER])
            events = await stream.take(8)
            last_id = stream.last_id
        assert [event.id is None for event in events] == [False] + [True] * 7
        async with open_stream(application, tenant.key, PATH, last_id) as stream:
            assert [event.data["id"] for event in await stream.take(7)] == [
                event.data["id"] for event in events[1:]
            ]

    async def test_more_conversations_than_a_page_has(self, application, tenant, api, monkeypatch):
        monkeypatch.setattr(user_feed, "_ACTIVE_A_PAGE", 3)
        async with open_stream(application, tenant.key, PATH) as stream:
            last_id = stream.last_id
        conversations = [
            await start(api, user_id="user-7", messages=[USER, USER]) for _ in range(10)
        ]
        async with open_stream(application, tenant.key, PATH, last_id) as stream:
            events = await stream.take(20)
            assert [event.data["conversation_id"] for event in events] == [
                conversation["id"] for conversation in conversations for _ in range(2)
            ]
            await stream.silence(0.3)

    @pytest.mark.parametrize(
        "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
    )
    async def test_whatever_is_written_and_whenever_one_comes_back_each_comes_once(
        self, tenant, api, window, seed
    ):
        """Transactions that overlap and take long, and a reader that reads by fits and starts."""
        chance = random.Random(seed)
        # Longer than a transaction lasts here, on a busy machine too.
        window(1.2)
        conversations = [(await start(api, user_id="user-7"))["id"] for _ in range(6)]
        written, seen = set(), []
        done = asyncio.Event()

        async def write(number):
            for _ in range(6):
                await asyncio.sleep(chance.random() * 0.3)
                conversation = chance.choice(conversations)
                async with write_session(tenant.ref) as session:
                    messages = await service.append_messages(
                        session, conversation, [NEW] * chance.randint(1, 3)
                    )
                    await asyncio.sleep(chance.random() * 0.2)
                written.update((conversation, message["seq"]) for message in messages)

        async def read():
            cursor = None
            while True:
                was_done = done.is_set()
                position = await user_feed.open_user_feed(tenant.ref, "user-7", cursor)
                cursor = user_feed._encode(tenant.ref, "user-7", position)
                for _ in range(chance.randint(1, 3)):
                    reader, quota = EventReader(), chance.randint(1, 8)
                    async with contextlib.aclosing(
                        user_feed._scan(tenant.ref, "user-7", position)
                    ) as events:
                        async for block in events:
                            (event,) = reader.feed(block)
                            cursor = event.id
                            seen.append((event.data["conversation_id"], event.data["seq"]))
                            quota -= 1
                            if not quota and not was_done:
                                break
                    await asyncio.sleep(chance.random() * 0.1)
                if was_done:
                    return

        async def until_written():
            await asyncio.sleep(0.1)
            await asyncio.gather(*(write(number) for number in range(5)))
            done.set()

        await asyncio.gather(until_written(), read())

        assert len(seen) == len(set(seen))
        assert set(seen) == written
        for conversation in conversations:
            positions = [seq for key, seq in seen if key == conversation]
            assert positions == sorted(positions)

    async def test_a_transaction_that_is_too_old_does_not_commit(
        self,
        tenant,
        api,
        with_settings,
    ):
        """The window rests on it."""
        assert user_feed.get_window() > timedelta(seconds=30 + 10 + 5)
        conversation = await start(api)

        async def write_slowly():
            async with write_session(tenant.ref) as session:
                await service.append_messages(session, conversation["id"], [NEW])
                await asyncio.sleep(0.2)

        with_settings(transaction_timeout_seconds=0.1)
        with pytest.raises(StatementTimeout):
            await write_slowly()
        assert await log_of(api, conversation) == []


class TestOutside:
    async def test_other_processes_writes_are_found_without_a_notice(
        self, application, tenant, api, monkeypatch
    ):
        conversation = await start(api, user_id="user-7", messages=[USER])
        async with (
            open_stream(application, tenant.key, PATH) as of_user,
            open_stream(
                application, tenant.key, f"/conversations/{conversation['id']}/events"
            ) as of_conversation,
        ):
            await asyncio.sleep(0.1)
            with monkeypatch.context() as patched:
                # As if by another process: this one's hub is told nothing.
                patched.setattr(unit_of_work, "write_listeners", [])
                await append(api, conversation, USER)
            assert (await of_user.next("message", 1)).data["seq"] == 2
            assert (await of_conversation.next("message", 1)).data["seq"] == 2

    async def test_the_queries_use_the_indexes(self, tenant, api):
        async with write_session(tenant.ref) as session:
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            now = datetime.now(UTC)
            for statement, values in (
                (activity_statement(), {"user_ids": ["x"], "since": now}),
                (
                    active_statement(),
                    {
                        "user_id": "x",
                        "since": now,
                        "after_activity": now,
                        "after_id": UUID(int=0),
                        "limit": 5,
                    },
                ),
            ):
                transaction = session.sync_session.transaction
                rows = await transaction._driver.fetch(
                    f"EXPLAIN {statement.sql}", *statement.arguments(values)
                )
                assert "conversations_user_id_idx" in "\n".join(row[0] for row in rows)
