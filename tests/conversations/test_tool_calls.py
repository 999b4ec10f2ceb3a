"""The whole life of a tool call: who may move it from where to where, and what is left of it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tenants.db.unit_of_work import write_session
from tests.conversations.test_router import append, head_of, log_of, start

DECISION = {"by": "user-7", "reason": "Too dear"}
AWAITING = {"requires_approval": True}
VERBS = {
    "start": None,
    "approve": DECISION,
    "deny": DECISION,
    "cancel": {"reason": "Gone"},
    "result": {"output": "12 °C"},
}
OPEN = ("requested", "awaiting_approval", "running")
CLOSED = ("succeeded", "failed", "denied", "cancelled", "expired")
# What each verb makes of each open status; where it is missing, the verb is refused.
MOVES = {
    ("start", "requested"): "running",
    ("start", "running"): "running",
    ("approve", "awaiting_approval"): "requested",
    ("deny", "awaiting_approval"): "denied",
    ("cancel", "requested"): "cancelled",
    ("cancel", "awaiting_approval"): "cancelled",
    ("cancel", "running"): "cancelled",
    ("result", "requested"): "succeeded",
    ("result", "running"): "succeeded",
}


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    return await make_tenant()


@pytest.fixture
async def sql(tenant):
    """Do by hand what no client can."""

    async def run(statement, **values):
        async with write_session(tenant.ref) as session:
            await session.execute(text(statement), values)

    return run


async def call(api, **content):
    """The path of a tool call in a conversation of its own."""
    asking = {"role": "assistant", "tool_calls": [{"call_id": "a", "name": "n", **content}]}
    conversation = await start(api, messages=[asking])
    return f"/conversations/{conversation['id']}/tool-calls/a"


async def call_in(api, sql, status):
    path = await call(api)
    await sql(
        "UPDATE tool_calls SET status = :status WHERE conversation_id = CAST(:id AS uuid)",
        status=status,
        id=path.split("/")[2].removeprefix("conv_"),
    )
    return path


async def move(api, path, verb, body=None, status=200):
    answer = await api.post(f"{path}/{verb}", json=VERBS[verb] if body is None else body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def shown(api, path):
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def log_behind(api, path):
    return await log_of(api, {"id": path.split("/")[2]})


class TestMoves:
    @pytest.mark.parametrize("verb", VERBS)
    @pytest.mark.parametrize("status", [*OPEN, *CLOSED])
    async def test_a_verb_leads_where_it_may_and_is_refused_elsewhere(self, api, sql, verb, status):
        path = await call_in(api, sql, status)
        before = await shown(api, path)

        answer = await api.post(f"{path}/{verb}", json=VERBS[verb])

        if (verb, status) in MOVES:
            assert answer.status_code == 200, answer.text
            assert answer.json()["status"] == MOVES[verb, status]
            assert answer.json() == await shown(api, path)
            return
        assert answer.status_code == 409
        code = (
            "tool_call_completed"
            if status in CLOSED
            else "tool_call_awaits_approval"
            if status == "awaiting_approval"
            else "approval_not_awaited"
        )
        assert answer.json()["code"] == code
        assert f"`{status}`" in answer.json()["detail"]
        assert await shown(api, path) == before
        assert len(await log_behind(api, path)) == 1

    async def test_a_call_goes_the_long_way(self, api):
        path = await call(api, requires_approval=True, timeout_seconds=60)
        states = [await shown(api, path)]
        for verb in ("approve", "start", "start", "result"):
            states.append(await move(api, path, verb))
            assert states[-1] == await shown(api, path)

        assert [each["status"] for each in states] == [
            *("awaiting_approval", "requested", "running", "running", "succeeded")
        ]
        assert [each["attempts"] for each in states] == [0, 0, 1, 2, 2]
        assert [each["decided_by"] for each in states] == [None, *["user-7"] * 4]
        assert len({each["deadline"] for each in states}) == 1
        assert len({each["created_at"] for each in states}) == 1
        moments = [datetime.fromisoformat(each["updated_at"]) for each in states]
        assert sorted(set(moments)) == moments

    @pytest.mark.parametrize("verb", VERBS)
    async def test_a_call_that_nobody_has_is_not_found(self, api, verb):
        path = (await call(api)).removesuffix("a")

        answer = await api.post(f"{path}b/{verb}", json=VERBS[verb])

        assert (answer.status_code, answer.json()["code"]) == (404, "tool_call_not_found")
        assert (await api.get(f"{path}b")).json()["code"] == "tool_call_not_found"

    @pytest.mark.parametrize("verb", VERBS)
    async def test_nothing_moves_in_an_archived_conversation(self, api, verb):
        path = await call(api, requires_approval=verb in {"approve", "deny"})
        await api.post(f"{path.partition('/tool-calls')[0]}/archive")
        before = await shown(api, path)

        answer = await api.post(f"{path}/{verb}", json=VERBS[verb])

        assert (answer.status_code, answer.json()["code"]) == (409, "conversation_archived")
        assert await shown(api, path) == before

    @pytest.mark.parametrize("verb", VERBS)
    async def test_a_deleted_call_is_not_there(self, api, sql, verb):
        path = await call(api)
        await sql(
            "UPDATE tool_calls SET deleted_at = now() WHERE conversation_id = CAST(:id AS uuid)",
            id=path.split("/")[2].removeprefix("conv_"),
        )
        answers = [await api.post(f"{path}/{verb}", json=VERBS[verb]), await api.get(path)]

        assert {answer.json()["code"] for answer in answers} == {"tool_call_not_found"}
        assert [message["tool_calls"] for message in await log_behind(api, path)] == [[]]
        assert (await api.get(path.removesuffix("/a"))).json()["data"] == []

    @pytest.mark.parametrize(
        ("verb", "body", "field"),
        [
            ("approve", {}, "by"),
            ("approve", {"by": ""}, "by"),
            ("deny", {"by": "x", "reason": ""}, "reason"),
            ("deny", {"by": "x", "reason": "x" * 2001}, "reason"),
            ("deny", {"by": "x", "status": "denied"}, "status"),
            ("cancel", {"reason": 1}, "reason"),
            ("cancel", {"by": "x"}, "by"),
        ],
    )
    async def test_what_does_not_fit_is_refused(self, api, verb, body, field):
        answer = await api.post(f"{await call(api, **AWAITING)}/{verb}", json=body)

        assert answer.status_code == 422
        assert [each["field"] for each in answer.json()["errors"]] == [field]


class TestEnds:
    @pytest.mark.parametrize(
        ("verb", "body", "output"),
        [
            ("deny", DECISION, "The tool call was denied. Reason: Too dear"),
            ("deny", {"by": "user-7"}, "The tool call was denied."),
            ("cancel", {"reason": "Gone"}, "The tool call was cancelled. Reason: Gone"),
            ("cancel", {}, "The tool call was cancelled."),
        ],
    )
    async def test_an_end_without_a_result_gets_an_output_that_says_so(
        self, api, verb, body, output
    ):
        path = await call(api, **AWAITING)
        before = await head_of(api, {"id": path.split("/")[2]})

        ended = await move(api, path, verb, body)

        message = (await log_behind(api, path))[1]
        assert (message["id"], message["seq"]) == (ended["output_message_id"], 2)
        assert (message["role"], message["call_id"]) == ("tool", "a")
        assert (message["content"], message["synthetic"]) == (output, True)
        assert ended["reason"] == body.get("reason")
        after = await head_of(api, {"id": path.split("/")[2]})
        for name in ("last_seq", "message_count", "version"):
            assert after[name] == before[name] + 1
        assert after["preview"] == before["preview"]

    async def test_only_what_the_service_wrote_is_called_synthetic(self, api):
        path = await call(api)
        await move(api, path, "result")

        assert [message.get("synthetic") for message in await log_behind(api, path)] == [None, None]

    async def test_a_failure_keeps_its_error(self, api):
        path = await call(api)
        await move(api, path, "start")

        failed = await move(api, path, "result", {"error": "timeout"})

        assert (failed["status"], failed["error"], failed["attempts"]) == ("failed", "timeout", 1)
        assert failed == await shown(api, path)


class TestRepetitions:
    @pytest.mark.parametrize("verb", ["approve", "deny", "cancel", "result"])
    async def test_the_same_once_more_gets_the_same_answer(self, api, verb):
        path = await call(api, requires_approval=verb in {"approve", "deny"})

        answers = [await move(api, path, verb) for _ in range(3)]

        assert answers[1:] == answers[:-1]
        expected = 1 if verb == "approve" else 2
        assert len(await log_behind(api, path)) == expected

    @pytest.mark.parametrize(
        ("verb", "other"),
        [
            ("deny", {"by": "user-8", "reason": "Too dear"}),
            ("deny", {"by": "user-7"}),
            ("cancel", {}),
            ("cancel", {"reason": "Other"}),
            ("result", {"error": "12 °C"}),
        ],
    )
    async def test_something_else_is_refused(self, api, verb, other):
        path = await call(api, requires_approval=verb == "deny")
        await move(api, path, verb)

        assert (await move(api, path, verb, other, 409))["code"] == "tool_call_completed"

    async def test_another_approval_is_refused(self, api):
        path = await call(api, **AWAITING)
        await move(api, path, "approve")

        other = await move(api, path, "approve", {"by": "user-8"}, 409)

        assert other["code"] == "approval_not_awaited"

    async def test_an_approval_that_is_repeated_late_is_answered_with_what_has_become(self, api):
        path = await call(api, **AWAITING)
        await move(api, path, "approve")
        await move(api, path, "start")

        assert (await move(api, path, "approve"))["status"] == "running"
        await move(api, path, "result")
        assert (await move(api, path, "approve"))["status"] == "succeeded"

    async def test_a_denial_does_not_pass_for_an_approval(self, api):
        path = await call(api, **AWAITING)
        await move(api, path, "deny")

        assert (await move(api, path, "approve", status=409))["code"] == "tool_call_completed"

    async def test_when_archived_a_repetition_is_still_answered(self, api):
        path = await call(api, **AWAITING)
        denied = await move(api, path, "deny")
        await api.post(f"{path.partition('/tool-calls')[0]}/archive")

        assert await move(api, path, "deny") == denied


class TestRaces:
    @pytest.mark.parametrize("verb", ["deny", "cancel"])
    async def test_of_the_same_many_at_once_one_is_written(self, api, verb):
        path = await call(api, **AWAITING)

        answers = await asyncio.gather(*(move(api, path, verb) for _ in range(8)))

        assert len({str(answer) for answer in answers}) == 1
        assert len(await log_behind(api, path)) == 2

    async def test_every_end_at_once_leaves_one_end(self, api):
        path = await call(api)
        bodies = [("result", {"output": "x"}), ("cancel", {}), ("result", {"error": "y"})]

        answers = await asyncio.gather(
            *(api.post(f"{path}/{verb}", json=body) for verb, body in bodies * 3)
        )

        assert {answer.status_code for answer in answers} <= {200, 409}
        ended = await shown(api, path)
        assert {a.json()["status"] for a in answers if a.is_success} == {ended["status"]}
        assert [message["seq"] for message in await log_behind(api, path)] == [1, 2]

    async def test_attempts_at_once_are_all_counted(self, api):
        path = await call(api)

        answers = await asyncio.gather(*(move(api, path, "start") for _ in range(10)))

        assert sorted(answer["attempts"] for answer in answers) == list(range(1, 11))


class TestNewCalls:
    async def test_a_call_is_shown_alike_wherever_it_is_shown(self, api):
        asking = {
            "role": "assistant",
            "tool_calls": [
                {"call_id": "a", "name": "n", "deadline": "2099-01-31T13:00:00+01:00"},
                {"call_id": "b", "name": "n", "timeout_seconds": 0.5},
                {"call_id": "c", "name": "n", "requires_approval": True},
            ],
        }
        conversation = await start(api, messages=[asking])
        path = f"/conversations/{conversation['id']}"

        made = conversation["messages"][0]["tool_calls"]
        (read,) = await log_of(api, conversation)
        listed = (await api.get(f"{path}/tool-calls")).json()["data"]
        single = [await shown(api, f"{path}/tool-calls/{each}") for each in "abc"]

        assert read["tool_calls"] == made
        assert listed == single
        assert [{name: each[name] for name in made[0]} for each in single] == made
        assert made[0]["deadline"] == "2099-01-31T12:00:00Z"
        assert [each["status"] for each in made] == ["requested", "requested", "awaiting_approval"]

    async def test_a_timeout_counts_from_now(self, api):
        call_ = await shown(api, await call(api, timeout_seconds=90))

        lasting = datetime.fromisoformat(call_["deadline"]) - datetime.now(UTC)
        assert timedelta(seconds=60) < lasting <= timedelta(seconds=90)

    @pytest.mark.parametrize(
        "content",
        [
            {"deadline": "2000-01-01T00:00:00Z"},
            {"deadline": "2099-01-01T00:00:00"},
            {"deadline": "2099-01-01"},
            {"deadline": "tomorrow"},
            {"deadline": "4102444800"},
            {"deadline": 4102444800},
            {"deadline": "9999-12-31T23:59:59-12:00"},
            {"timeout_seconds": 0},
            {"timeout_seconds": -1},
            {"timeout_seconds": "60"},
            {"timeout_seconds": 1e9},
            {"timeout_seconds": 60, "deadline": "2099-01-01T00:00:00Z"},
            {"requires_approval": "yes"},
            {"requires_approval": None},
            {"status": "running"},
            {"attempts": 3},
        ],
    )
    async def test_what_does_not_fit_is_refused(self, api, content):
        asking = {"role": "assistant", "tool_calls": [{"call_id": "a", "name": "n", **content}]}

        answer = await api.post("/conversations", json={"messages": [asking]})

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), answer.text

    @pytest.mark.parametrize("at_once", [True, False])
    async def test_a_call_that_awaits_approval_is_not_answered(self, api, at_once):
        call_ = {"call_id": "a", "name": "n", **AWAITING}
        asking = {"role": "assistant", "tool_calls": [call_]}
        output = {"role": "tool", "call_id": "a", "content": "x"}
        conversation = await start(api, messages=[] if at_once else [asking])

        batch = [asking, output] if at_once else [output]
        code = await append(api, conversation, *batch, status=409)

        assert code == "tool_call_awaits_approval"
        assert len(await log_of(api, conversation)) == (0 if at_once else 1)


class TestDeadlines:
    @pytest.mark.parametrize(
        ("verb", "status"), [("start", "requested"), ("approve", "awaiting_approval")]
    )
    async def test_an_overdue_call_is_not_begun(self, api, verb, status):
        path = await call(
            api, timeout_seconds=0.01, requires_approval=status == "awaiting_approval"
        )
        await asyncio.sleep(0.05)

        refused = await move(api, path, verb, status=409)

        assert refused["code"] == "tool_call_overdue"
        assert f"`{status}`" in refused["detail"]

    @pytest.mark.parametrize("verb", ["result", "cancel"])
    async def test_what_ends_an_overdue_call_before_it_expires_counts(self, api, verb):
        path = await call(api, timeout_seconds=0.01)
        await asyncio.sleep(0.05)

        assert (await move(api, path, verb))["status"] in {"succeeded", "cancelled"}
