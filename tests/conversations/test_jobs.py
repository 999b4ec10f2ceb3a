"""Overdue tool calls expire, whatever else happens in their conversations."""

import asyncio
import itertools
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from conversations import jobs, service
from conversations.service.history import make_valid
from tenants.db.unit_of_work import write_session
from tenants.errors import DatabaseDefect, LockTimeout
from tenants.ids import new_id
from tenants.testing import API, connect
from tests.conversations.statements import counted_statements
from tests.conversations.test_router import append, calling, head_of, log_of, output, start, user


@pytest.fixture
async def api(application, tenant):
    """A client of a tenant that has nothing overdue but what the test makes so."""
    async with connect(application, base_url=f"http://localhost{API}", tenant=tenant) as client:
        yield client


@pytest.fixture
def sql(tenant):
    async def run(statement, **values):
        async with write_session(tenant.ref) as session:
            await session.execute(text(statement), values)

    return run


@pytest.fixture
def overdue(api, sql):
    """A conversation whose calls have all been due for a while; its messages, one call each."""

    async def make(*call_ids, status="running"):
        conversation = await start(api, messages=[calling(each) for each in call_ids])
        await sql(
            "UPDATE tool_calls SET deadline = now() - interval '1 minute', status = :status "
            "WHERE conversation_id = CAST(:id AS uuid)",
            status=status,
            id=conversation["id"].removeprefix("conv_"),
        )
        return conversation

    return make


async def statuses_of(api, conversation):
    answer = await api.get(f"/conversations/{conversation['id']}/tool-calls", params={"limit": 100})
    return [call["status"] for call in answer.json()["data"]]


class TestReindexing:
    """A conversation of 250 messages, of which a hundred at a time are indexed anew."""

    @pytest.fixture
    async def languages(self, tenant, api):
        async def read(conversation):
            """From the first message to the last: each language, and how many have it."""
            async with write_session(tenant.ref) as session:
                rows = await session.scalars(
                    text("SELECT language FROM messages WHERE conversation_id = :id ORDER BY seq"),
                    {"id": conversation["id"].removeprefix("conv_")},
                )
                return [(name, len([*each])) for name, each in itertools.groupby(rows)]

        return read

    @pytest.fixture
    async def long(self, api):
        long = await start(api, language="en")
        for _ in range(5):
            await append(api, long, *[user("swims")] * 50)
        return long

    async def change(self, api, conversation, language):
        answer = await api.patch(
            f"/conversations/{conversation['id']}", json={"language": language}
        )
        assert answer.status_code == 200, answer.text

    async def test_the_newest_come_at_once_and_the_others_by_the_job(
        self, api, tenant, long, languages
    ):
        await self.change(api, long, "de")
        await append(api, long, user("schwimmt"))
        assert await languages(long) == [("en", 150), ("de", 101)]

        with counted_statements() as statements:
            assert await jobs.reindex_messages(tenant.ref) == 150

        assert await languages(long) == [("de", 251)]
        assert len(statements) == 3  # Two batches, and nothing.
        assert await jobs.reindex_messages(tenant.ref) == 0

    async def test_a_language_that_is_changed_again_is_what_counts(
        self, api, tenant, long, languages
    ):
        await self.change(api, long, "de")
        await self.change(api, long, None)
        assert await languages(long) == [("en", 150), (None, 100)]
        await self.change(api, long, None)  # No change, but it gets on with it.
        assert await languages(long) == [("en", 50), (None, 200)]

        await self.change(api, long, "en")
        assert await languages(long) == [("en", 50), (None, 100), ("en", 100)]
        assert await jobs.reindex_messages(tenant.ref) == 100
        assert await languages(long) == [("en", 250)]

    async def test_the_language_it_has_is_no_change(self, api, tenant, long, languages):
        await self.change(api, long, "en")
        await self.change(api, await start(api), "en")

        assert await jobs.reindex_messages(tenant.ref) == 0

    @pytest.mark.parametrize(("at_seq", "left"), [(0, 0), (100, 100), (150, 150), (200, 150)])
    async def test_a_fork_goes_on_where_its_source_stands(
        self, api, tenant, long, languages, at_seq, left
    ):
        await self.change(api, long, "de")
        fork = await api.post(f"/conversations/{long['id']}/forks", json={"at_seq": at_seq})

        assert await jobs.reindex_messages(tenant.ref) == 150 + left

        assert await languages(fork.json()) == ([("de", at_seq)] if at_seq else [])

    async def test_a_conversation_that_somebody_is_at_is_left_for_later(
        self, api, tenant, long, languages
    ):
        await self.change(api, long, "de")
        async with write_session(tenant.ref) as session:
            await session.execute(text("SELECT 1 FROM conversations FOR UPDATE"))
            assert await jobs.reindex_messages(tenant.ref) == 0

        assert await jobs.reindex_messages(tenant.ref) == 150

    async def test_it_leaves_the_rest_to_the_next_run(
        self, api, tenant, long, languages, monkeypatch
    ):
        await self.change(api, long, "de")
        monkeypatch.setattr(jobs, "_RUN_SECONDS", 1e-6)

        assert await jobs.reindex_messages(tenant.ref) <= 100
        assert await jobs.reindex_messages(tenant.ref) <= 100
        monkeypatch.undo()
        await jobs.reindex_messages(tenant.ref)
        assert await languages(long) == [("de", 250)]


class TestExpiring:
    @pytest.mark.parametrize("status", ["requested", "awaiting_approval", "running"])
    async def test_an_open_call_expires_with_an_output(self, api, tenant, overdue, status):
        conversation = await overdue("a", "b", status=status)
        before = await head_of(api, conversation)

        assert await jobs.expire_calls(tenant.ref) == 2

        assert await statuses_of(api, conversation) == ["expired", "expired"]
        log = await log_of(api, conversation)
        assert [message["seq"] for message in log] == [1, 2, 3, 4]
        for message, call_id in zip(log[2:], "ab", strict=True):
            assert (message["role"], message["call_id"]) == ("tool", call_id)
            assert message["content"] == "The tool call expired without a result."
            assert message["synthetic"] is True
        after = await head_of(api, conversation)
        assert (after["last_seq"], after["message_count"]) == (4, 4)
        assert after["version"] > before["version"]
        # It is no activity.
        for name in ("last_activity_at", "updated_at", "preview"):
            assert after[name] == before[name]

    async def test_nothing_else_does(self, api, tenant, sql):
        calls = [
            {"call_id": "none", "name": "n"},
            {"call_id": "later", "name": "n", "timeout_seconds": 3600},
            {"call_id": "done", "name": "n", "timeout_seconds": 0.01},
            {"call_id": "deleted", "name": "n", "timeout_seconds": 0.01},
        ]
        asking = {"role": "assistant", "tool_calls": calls}
        conversation = await start(api, messages=[asking, output("done")])
        await sql("UPDATE tool_calls SET deleted_at = now() WHERE call_id = 'deleted'")
        await asyncio.sleep(0.05)

        assert await jobs.expire_calls(tenant.ref) == 0
        assert await statuses_of(api, conversation) == ["requested", "requested", "succeeded"]
        assert len(await log_of(api, conversation)) == 2

    async def test_a_second_time_there_is_nothing_to_do(self, tenant, overdue):
        await overdue("a")

        assert [await jobs.expire_calls(tenant.ref) for _ in range(3)] == [1, 0, 0]

    async def test_an_archived_conversation_is_no_obstacle_and_stays_archived(
        self, api, tenant, overdue
    ):
        conversation = await overdue("a")
        await api.post(f"/conversations/{conversation['id']}/archive")

        assert await jobs.expire_calls(tenant.ref) == 1
        assert (await head_of(api, conversation))["status"] == "archived"
        assert len(await log_of(api, conversation)) == 2

    async def test_a_deleted_conversation_is_valid_when_it_comes_back(
        self, api, tenant, overdue, sql
    ):
        conversation = await overdue("a")
        await api.delete(f"/conversations/{conversation['id']}")

        assert await jobs.expire_calls(tenant.ref) == 1
        assert await jobs.expire_calls(tenant.ref) == 0

        await sql("UPDATE conversations SET deleted_at = NULL")
        log = await log_of(api, conversation)
        assert make_valid(log) == log

    async def test_what_comes_after_an_expiry_is_refused(self, api, tenant, overdue):
        conversation = await overdue("a")
        await jobs.expire_calls(tenant.ref)

        code = await append(api, conversation, output("a"), status=409)
        path = f"/conversations/{conversation['id']}/tool-calls/a/result"
        report = await api.post(path, json={"output": "x"})

        assert code == report.json()["code"] == "tool_call_completed"
        assert "`expired`" in report.json()["detail"]


class TestNumbers:
    async def test_where_nothing_is_overdue_it_is_one_statement(self, api, tenant):
        await start(api, messages=[calling("a")])

        with counted_statements() as statements:
            await jobs.expire_calls(tenant.ref)

        assert len(statements) == 1

    async def test_that_statement_finds_its_rows_in_an_index(self, tenant, api):
        await start(api, messages=[calling("a")])
        with counted_statements() as statements:
            await jobs.expire_calls(tenant.ref)
        query = statements[0]
        for name, value in (("$1", "now()"), ("$2", "now()"), ("$3", f"'{new_id()}'"), ("$4", "9")):
            query = query.replace(name, value)

        async with write_session(tenant.ref) as session:
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            plan = await session.scalars(text(f"EXPLAIN {query}".replace(":", "\\:")))
            assert "tool_calls_deadline_idx" in "\n".join(plan)

    async def test_all_of_many_expire_in_batches(self, api, tenant, overdue, monkeypatch):
        monkeypatch.setattr(jobs, "_CALLS", 4)
        made = [await overdue(*"abcdefg"), await overdue(*"abc"), await overdue("a")]

        assert await jobs.expire_calls(tenant.ref) == 11

        for conversation in made:
            assert set(await statuses_of(api, conversation)) == {"expired"}
            seqs = [message["seq"] for message in await log_of(api, conversation)]
            assert seqs == list(range(1, len(seqs) + 1))

    async def test_a_run_is_bounded_and_the_next_one_goes_on(self, tenant, overdue, monkeypatch):
        monkeypatch.setattr(jobs, "_CALLS", 2)
        monkeypatch.setattr(jobs, "_BATCHES", 2)
        for _ in range(6):
            await overdue("a")

        assert [await jobs.expire_calls(tenant.ref) for _ in range(3)] == [4, 2, 0]

    async def test_more_than_a_conversation_can_have_closed_at_once(self, api, tenant, overdue):
        conversation = await start(api)
        for begin in (0, 100):
            await append(api, conversation, calling(*map(str, range(begin, begin + 100))))
        async with write_session(tenant.ref) as session:
            await session.execute(text("UPDATE tool_calls SET deadline = now()"))

        assert await jobs.expire_calls(tenant.ref) == 200
        assert (await head_of(api, conversation))["last_seq"] == 202


class TestFaults:
    async def test_a_conversation_that_fails_keeps_no_other_from_it(
        self, api, tenant, overdue, sql
    ):
        broken, fine = await overdue("a"), await overdue("a")
        await sql(
            "UPDATE conversations SET last_seq = 0 WHERE id = CAST(:id AS uuid)",
            id=broken["id"].removeprefix("conv_"),
        )

        with pytest.raises(DatabaseDefect):
            await jobs.expire_calls(tenant.ref)

        assert await statuses_of(api, fine) == ["expired"]
        assert await statuses_of(api, broken) == ["running"]
        await api.post(f"/conversations/{broken['id']}/repair")
        assert await statuses_of(api, broken) == ["expired"]

    async def test_one_that_is_held_is_left_for_the_next_time(
        self, api, tenant, overdue, monkeypatch
    ):
        held, fine = await overdue("a"), await overdue("a")
        key = service.keys.conversation_key(held["id"])
        lock = service.closing.repository.lock_conversation

        async def impatient(session, conversation_id):
            await session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            return await lock(session, conversation_id)

        monkeypatch.setattr(service.closing.repository, "lock_conversation", impatient)
        async with write_session(tenant.ref) as session:
            await lock(session, key)
            with pytest.raises(LockTimeout):
                await jobs.expire_calls(tenant.ref)

        assert await statuses_of(api, fine) == ["expired"]
        assert await jobs.expire_calls(tenant.ref) == 1

    async def test_of_a_result_and_an_expiry_at_once_one_counts(self, api, tenant, overdue):
        made = [await overdue("a") for _ in range(10)]

        answers, *_ = await asyncio.gather(
            asyncio.gather(
                *(
                    api.post(
                        f"/conversations/{each['id']}/tool-calls/a/result", json={"output": "x"}
                    )
                    for each in made
                )
            ),
            jobs.expire_calls(tenant.ref),
            jobs.expire_calls(tenant.ref),
        )

        for answer, conversation in zip(answers, made, strict=True):
            status = "succeeded" if answer.status_code == 200 else "expired"
            assert answer.status_code in {200, 409}
            assert await statuses_of(api, conversation) == [status]
            log = await log_of(api, conversation)
            assert make_valid(log) == log
            assert len(log) == 2

    async def test_appends_meanwhile_leave_the_positions_contiguous(self, api, tenant, overdue):
        conversation = await overdue(*"abcde")

        await asyncio.gather(
            *(append(api, conversation, user(str(number))) for number in range(20)),
            jobs.expire_calls(tenant.ref),
        )

        log = await log_of(api, conversation, limit=100)
        assert [message["seq"] for message in log] == list(range(1, 31))

    async def test_one_that_has_gone_meanwhile_is_passed_over(self, tenant, overdue, sql):
        conversation = await overdue("a")
        key = service.keys.conversation_key(conversation["id"])
        await sql("DELETE FROM conversations")

        async with write_session(tenant.ref) as session:
            assert await service.expire_calls(session, key, datetime.now(UTC)) == 0
