import asyncio
import random

import orjson
import pytest
from sqlalchemy import func, select

from conversations.models import Conversation, Message, ToolCall
from conversations.schemas import LISTED_REASONS
from tenants.db.unit_of_work import read_session
from tenants.testing import API, connect
from tests.conversations.test_router import calling, log_of, output, read, start, user
from tests.tenants.test_strict_json import REFUSED

LINES = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}
NOON = "2026-03-01T12:00:00Z"
NO_COUNT = {"imported": 0, "already_there": 0}


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to conversations of their own."""
    return await make_tenant()


@pytest.fixture
async def other(application, empty_tenant):
    """A client of a tenant that has no conversation yet."""
    url = f"http://localhost{API}"
    async with connect(application, base_url=url, tenant=empty_tenant) as client:
        yield client


def to_lines(records):
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


async def load(api, records, kind="tenantry", headers=LINES, status=200, **query):
    content = records if isinstance(records, bytes) else to_lines(records)
    answer = await api.post(
        "/imports", params={"format": kind, **query}, content=content, headers=headers
    )
    assert answer.status_code == status, answer.text
    return answer.json()


def counts(report, name):
    return report[name]["imported"], report[name]["already_there"]


def head(name, **more):
    times = dict.fromkeys(("created_at", "updated_at", "last_activity_at"), NOON)
    return {"type": "conversation", "id": name, **times, **more}


def message(name, seq, **more):
    base = {"type": "message", "conversation_id": name, "id": f"{name}-{seq}", "seq": seq}
    return {**base, "role": "user", "content": f"text {seq}", **more}


def call(call_id, **more):
    return {"id": call_id, "call_id": call_id, "name": "n", **more}


async def export(api, path="/export"):
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    return [orjson.loads(line) for line in answer.content.splitlines()]


async def imported(api, user_id):
    """The only conversation of a user, and its messages."""
    (found,) = (await read(api, "/conversations", user_id=user_id))["data"]
    return found, await log_of(api, found, limit=100)


async def sums(tenant_ref, conversation_id):
    """The head's sums, and what the rows make of them."""
    key = conversation_id.partition("_")[2]
    c, m = Conversation.__table__.c, Message.__table__.c
    kept = m.deleted_at.is_(None)
    names = ("token_count", "input_tokens", "output_tokens", "cached_tokens", "cost")
    async with read_session(tenant_ref) as session:
        counted = (
            await session.execute(
                select(
                    func.max(m.seq),
                    func.count(),
                    func.count().filter(kept),
                    *(func.coalesce(func.sum(m[name]), 0) for name in names),
                ).where(m.conversation_id == key)
            )
        ).one()
        calls = await session.scalar(
            select(func.count()).where(
                ToolCall.conversation_id == key, ToolCall.deleted_at.is_(None)
            )
        )
        columns = (c.last_seq, c.last_seq, c.message_count, *(c[name] for name in names))
        kept_head = (
            await session.execute(select(*columns, c.tool_call_count).where(c.id == key))
        ).one()
    return tuple(kept_head), (*counted, calls)


# Our own format


async def fill(api):
    """Conversations of every kind that can be made by the API."""
    await start(api, title="empty")
    first = await start(
        api,
        user_id="ann",
        agent_id="a",
        title="T",
        metadata={"deep": {"list": [1, 2.5, None, "é"]}},
        messages=[
            user("hé\n"),
            calling("c1", "c2", content="Hm", model="m", token_count=7),
            output("c2", "two"),
            output("c1", [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]),
            calling("c3"),
        ],
    )
    await api.post(f"/conversations/{first['id']}/tool-calls/c3/result", json={"error": "no"})
    second = await start(api, user_id="bob", messages=[user(""), calling("c1")])
    await api.post(f"/conversations/{second['id']}/archive")


def without_ids(records):
    """What two exports of the same have in common. Ids are numbered by their first appearance."""
    numbers = {}
    names = {"id", "conversation_id", "message_id", "output_message_id", "parent_id"}

    def change(value, name=None):
        if isinstance(value, dict):
            return {key: change(each, key) for key, each in value.items() if key != "exported_at"}
        if isinstance(value, list):
            return [change(each) for each in value]
        if name in names and value is not None:
            return numbers.setdefault(value, len(numbers))
        return value

    groups = {}
    for record in records[1:-1]:
        groups.setdefault(record.get("conversation_id") or record["id"], []).append(record)
    # Derived ids are in another order.
    ordered = sorted(groups.values(), key=lambda group: group[0]["created_at"])
    return [change(record) for group in ordered for record in group], records[-1]


async def test_what_was_exported_is_imported_and_exported_alike(other, application, make_tenant):
    await fill(other)
    original = await export(other)
    tenant = await make_tenant()
    async with connect(application, base_url=f"http://localhost{API}", tenant=tenant) as target:
        report = await load(target, original)
        copy = await export(target)

    assert report["complete"] is True
    assert (report["skipped"], report["lines"]) == (0, len(original))
    assert counts(report, "conversations") == (3, 0)
    assert counts(report, "messages") == (original[-1]["counts"]["messages"], 0)
    assert counts(report, "tool_calls") == (4, 0)
    assert without_ids(copy) == without_ids(original)
    ids = {record["id"] for record in original[1:-1]}
    assert not ids & {record["id"] for record in copy[1:-1]}
    for record in copy:
        if record["type"] == "conversation" and record["last_seq"]:
            kept, counted = await sums(tenant.ref, record["id"])
            assert kept == counted


async def test_all_that_a_record_can_say_survives_the_round_trip(other, api):
    usage = {"input_tokens": 1, "output_tokens": 2, "cached_tokens": None, "reasoning_tokens": 0}
    records = [
        head("x", user_id="u", language="nb", status="archived", read_seq=2, legal_hold=True)
        | {"expires_at": "2099-01-01T00:00:00Z", "fork_seq": 1, "metadata": {"a": []}},
        message("x", 1, usage=usage, cost="0.0123", external_id="e1", language="nb")
        | {"token_count": 9, "extra": {"k": [1]}, "kind": "note", "created_at": NOON},
        message("x", 2, content=[{"type": "text", "text": "a"}, {"type": "odd", "b": 1}], text="a")
        | {"status": "incomplete", "created_at": "2025-01-01T00:00:00.000001Z"},
        message("x", 3, role="assistant", content=None, model="m", created_at=NOON)
        | {
            "tool_calls": [
                call("c1", arguments={"a": 1}, status="denied", error="no", attempts=3)
                | {"deadline": NOON, "decided_by": "d", "decided_at": NOON, "reason": "r"}
                | {"external_id": "fc_1", "extra": {"z": 1}, "created_at": NOON, "updated_at": NOON}
            ]
        },
        {"type": "message", "conversation_id": "x", "id": "x-4", "seq": 4, "role": "assistant"}
        | {
            "deleted_at": NOON,
            "tool_calls": [
                call(each, deleted_at=NOON) | {"name": ""} for each in ("c2", "c3 freed")
            ],
        },
        message("x", 5, role="tool", call_id="c2", created_at=NOON),
        message("x", 6, role="tool", kind="shell_call_output", content=None, created_at=NOON),
        {"type": "summary", "conversation_id": "x", "id": "s", "from_seq": 1, "to_seq": 3}
        | {"text": "S", "model": "m", "token_count": 4, "created_at": NOON},
        {"type": "feedback", "conversation_id": "x", "id": "f", "message_id": "x-1", "seq": 1}
        | {"author": "u", "rating": "down", "comment": "c", "created_at": NOON, "updated_at": NOON},
    ]

    report = await load(other, records)
    written = await export(other)
    again = await load(api, written)

    assert report["skipped_lines"] == []
    assert (report["complete"], again["complete"]) == (False, True)
    assert counts(report, "summaries") == counts(report, "feedback") == (1, 0)
    for given, kept in zip(records, written[1:-1], strict=True):
        nested = [*zip(given.get("tool_calls", []), kept.get("tool_calls", []), strict=True)]
        for one, two in [(given, kept), *nested]:
            for name, value in one.items():
                if name not in {"id", "conversation_id", "message_id", "tool_calls", "name"}:
                    assert two[name] == value, name
    assert written[4]["tool_calls"][0]["output_message_id"] is None
    assert (await load(api, written))["skipped"] == 0
    assert without_ids(await export(other)) == without_ids(written)


async def test_importing_again_adds_nothing(api):
    records = [
        head("again", user_id="again"),
        message("again", 1),
        message("again", 2, role="assistant", content=None, tool_calls=[call("c")]),
        message("again", 3, role="tool", call_id="c"),
    ]
    await load(api, records)
    before = await imported(api, "again")

    report = await load(api, records)

    assert counts(report, "conversations") == (0, 1)
    assert counts(report, "messages") == (0, 3)
    assert counts(report, "tool_calls") == (0, 1)
    assert report["skipped"] == 0
    assert await imported(api, "again") == before


async def test_importing_goes_on_after_a_cut_wherever_it_was(api):
    records = [
        head("cut", user_id="cut"),
        message("cut", 1, role="assistant", tool_calls=[call("c"), call("d")]),
        message("cut", 2, role="tool", call_id="d"),
        message("cut", 3, role="tool", call_id="c"),
        message("cut", 4),
    ]
    whole = to_lines(records)
    for end in (len(whole) // 4, len(whole) // 2, len(whole) - 5):
        report = await load(api, whole[:end])
        assert report["skipped"] == 1  # The line that was cut.
        assert report["complete"] is False
    report = await load(api, whole)

    found, messages = await imported(api, "cut")
    assert report["skipped"] == 0
    assert [each["seq"] for each in messages] == [1, 2, 3, 4]
    calls = {each["call_id"]: each for each in messages[0]["tool_calls"]}
    assert {each["status"] for each in calls.values()} == {"succeeded"}
    assert calls["d"]["output_message_id"] == messages[1]["id"]
    assert calls["c"]["output_message_id"] == messages[2]["id"]
    assert (found["last_seq"], found["message_count"], found["preview"]) == (4, 4, "text 4")


async def test_a_file_can_be_sent_in_pieces(api):
    records = [head("piece", user_id="piece"), *(message("piece", seq) for seq in range(1, 31))]
    for at in range(0, len(records), 7):
        report = await load(api, records[at : at + 7])
        assert report["skipped"] == 0, report

    found, messages = await imported(api, "piece")
    assert [each["seq"] for each in messages] == list(range(1, 31))
    assert found["last_seq"] == 30


async def test_what_came_meanwhile_keeps_its_place(api):
    records = [head("meanwhile", user_id="meanwhile"), message("meanwhile", 1)]
    await load(api, records)
    found, _ = await imported(api, "meanwhile")
    await api.post(f"/conversations/{found['id']}/messages", json=user("of our own"))

    report = await load(api, [*records, message("meanwhile", 2), message("meanwhile", 3)])

    assert counts(report, "messages") == (0, 1)
    assert [each["line"] for each in report["skipped_lines"]] == [3, 4]
    assert "position 2" in report["skipped_lines"][0]["reason"]
    assert [each["content"] for each in (await imported(api, "meanwhile"))[1]] == [
        "text 1",
        "of our own",
    ]


async def test_a_tenants_own_export_finds_its_own_conversations(api):
    started = await start(api, user_id="own", messages=[user(), calling("c")])
    path = f"/conversations/{started['id']}/export"
    records = await export(api, path)
    await api.post(f"/conversations/{started['id']}/messages", json=output("c"))

    report = await load(api, [*await export(api, path), *records])

    assert counts(report, "conversations") == (0, 2)
    assert report["messages"] == {"imported": 0, "already_there": 5}
    assert report["skipped"] == 0
    assert len((await read(api, "/conversations", user_id="own"))["data"]) == 1


async def test_what_was_deleted_here_is_not_brought_back(api):
    records = [head("deleted", user_id="deleted"), message("deleted", 1)]
    await load(api, records)
    found, _ = await imported(api, "deleted")
    await api.delete(f"/conversations/{found['id']}")

    report = await load(api, records)

    assert report["messages"] == report["conversations"] == NO_COUNT
    assert "deleted here" in report["skipped_lines"][0]["reason"]


async def test_the_same_file_for_two_tenants_makes_two_conversations(api, other):
    records = [head("two", user_id="two"), message("two", 1)]
    await load(api, records)
    await load(other, records)

    assert (await imported(api, "two"))[0]["id"] != (await imported(other, "two"))[0]["id"]


async def test_a_branch_is_tied_to_what_it_grew_from_in_whatever_order_they_come(api, other):
    later = dict.fromkeys(("created_at", "updated_at", "last_activity_at"), "2026-03-02T00:00:00Z")
    child = [head("child", parent_id="parent", fork_seq=1) | later, message("child", 1)]
    parent = [head("parent"), message("parent", 1)]
    for client, parts in ((api, [child + parent]), (other, [child, parent, child])):
        for part in parts:
            assert (await load(client, part))["skipped"] == 0
        records = await export(client)
        heads = {each["created_at"]: each for each in records if each["type"] == "conversation"}
        branches = [each for each in records if each.get("parent_id")]
        assert branches == [heads["2026-03-02T00:00:00Z"]]
        assert branches[0]["fork_seq"] == 1


async def test_branches_make_no_circle(other):
    circle = [
        head("one", parent_id="two", fork_seq=1),
        message("one", 1),
        head("two", parent_id="one", fork_seq=1),
        message("two", 1),
        head("self", parent_id="self", fork_seq=1),
        message("self", 1),
    ]
    assert (await load(other, circle))["skipped"] == 0

    assert [each.get("parent_id") for each in await export(other)] == [None] * 8


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "not valid JSON"),
        (b'"text"', "an object"),
        (b"[]", "an object"),
        (b"\xff", "not valid JSON"),
        (b"{}", "type"),
        (b'{"type":"thing"}', "type"),
        (orjson.dumps(message("bad", 2, role="god")), "role"),
        (orjson.dumps(message("bad", 0)), "seq"),
        (orjson.dumps(message("bad", "2")), "seq"),
        (orjson.dumps(message("bad", 2, content=5)), "content"),
        (orjson.dumps(message("bad", 2, content=[])), "content"),
        (orjson.dumps(message("bad", 2, content=["x"])), "content"),
        (orjson.dumps(message("bad", 2, content=[{"text": "x"}])), "type"),
        (orjson.dumps(message("bad", 2, content=[{"type": "text"}])), "text"),
        (orjson.dumps(message("bad", 2, token_count=2**31)), "token_count"),
        (orjson.dumps(message("bad", 2, cost="-1")), "cost"),
        (orjson.dumps(message("bad", 2, cost="1e999")), "cost"),
        (orjson.dumps(message("bad", 2, cost="NaN")), "cost"),
        (orjson.dumps(message("bad", 2, created_at="yesterday")), "created_at"),
        (orjson.dumps(message("bad", 2, created_at="2026-03-01T12:00:00")), "created_at"),
        (orjson.dumps(message("bad", 2, created_at="0001-01-01T00:00:00+14:00")), "created_at"),
        (orjson.dumps(message("bad", 2, surprise=1)), "surprise"),
        (orjson.dumps(message("bad", 2, call_id="c")), "call_id"),
        (orjson.dumps(message("bad", 2, role="tool")), "call_id"),
        (orjson.dumps(message("bad", 2, tool_calls=[call("c")])), "tool_calls"),
        (orjson.dumps(message("bad", 2, role="assistant", tool_calls=[call("c d")])), "tool_calls"),
        (orjson.dumps(message("bad", 4)), "before position 4"),
        (orjson.dumps(message("bad", 1)), "given twice"),
        (orjson.dumps(message("elsewhere", 1)), "isn't here"),
        (orjson.dumps(head("worse", metadata={"x": "y" * 20_000})), "metadata"),
        (orjson.dumps(head("worse", expires_at=NOON)), "is over"),
        (
            b'{"type":"attachment","conversation_id":null,"id":"a","user_id":null,"name":"n",'
            b'"media_type":"m","size":1,"sha256":"","created_at":"2026-03-01T12:00:00Z"}',
            "bytes",
        ),
        (
            b'{"type":"summary","conversation_id":"bad","id":"s","from_seq":1,"to_seq":9,'
            b'"text":"t","created_at":"2026-03-01T12:00:00Z"}',
            "no such messages",
        ),
        (
            b'{"type":"feedback","conversation_id":"bad","id":"s","message_id":"m","seq":1,'
            b'"author":"a","created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z"}',
            "isn't there",
        ),
        *((body, "") for body in REFUSED.values()),
    ],
)
async def test_a_bad_line_is_skipped_with_its_reason_and_spoils_nothing_else(other, bad, reason):
    content = to_lines([head("bad", user_id="bad"), message("bad", 1)]) + b"\n" + bad + b"\n"
    content += to_lines([head("good", user_id="good"), message("good", 1)])

    report = await load(other, content)

    assert [each["line"] for each in report["skipped_lines"]] == [4], report
    assert reason in report["skipped_lines"][0]["reason"]
    assert counts(report, "conversations") == (2, 0)
    assert counts(report, "messages") == (2, 0)


@pytest.mark.parametrize(
    "messages",
    [
        [message("p", 1, role="tool", call_id="nowhere")],
        [
            message("p", 1, role="assistant", tool_calls=[call("c")]),
            message("p", 2, role="tool", call_id="c"),
            message("p", 3, role="tool", call_id="c"),
        ],
        [
            message("p", 1, role="assistant", tool_calls=[call("c")]),
            message("p", 2, role="assistant", tool_calls=[call("c")]),
        ],
        [message("p", 1, external_id="e"), message("p", 2, external_id="e")],
        [message("p", 1, id="m"), message("p", 2, id="m")],
    ],
)
async def test_a_conversation_that_would_break_a_rule_stays_out_as_a_whole(other, messages):
    report = await load(other, [head("p"), *messages, head("good"), message("good", 1)])

    assert [each["line"] for each in report["skipped_lines"]] == [1]
    assert counts(report, "conversations") == (1, 0)
    assert counts(report, "messages") == (1, 0)
    assert (await read(other, "/conversations"))["data"][0]["message_count"] == 1


async def test_a_call_is_answered_once_though_its_parts_come_apart(api):
    asking = message("apart", 1, role="assistant", tool_calls=[call("c")])
    await load(api, [head("apart", user_id="apart"), asking])
    await load(api, [message("apart", 2, role="tool", call_id="c")])

    report = await load(api, [message("apart", 3, role="tool", call_id="c")])

    assert report["messages"] == NO_COUNT
    assert "has an output" in report["skipped_lines"][0]["reason"]
    ended = {**asking, "tool_calls": [call("c", status="failed", error="late")]}
    await load(api, [head("apart2", user_id="apart2"), {**asking, "conversation_id": "apart2"}])
    await load(
        api,
        [
            head("apart2"),
            {**ended, "conversation_id": "apart2"},
            message("apart2", 2, role="tool", call_id="c"),
        ],
    )
    _, (first, _) = await imported(api, "apart2")
    assert (first["tool_calls"][0]["status"], first["tool_calls"][0]["error"]) == ("failed", "late")


async def test_reasons_are_counted_and_a_hundred_of_them_are_listed(other):
    report = await load(other, b"{\n" * (LISTED_REASONS + 50))

    assert report["skipped"] == LISTED_REASONS + 50
    assert len(report["skipped_lines"]) == LISTED_REASONS


async def test_another_version_of_the_format_is_refused_as_a_whole(other):
    header = {"type": "header", "format": "tenantry", "version": 2, "exported_at": NOON}

    refusal = await load(other, [header, head("x")], status=422)

    assert "version" in refusal["detail"]
    assert (await read(other, "/conversations"))["data"] == []


async def test_the_end_says_whether_a_file_is_whole(other):
    await start(other, messages=[user()])
    records = await export(other)

    assert (await load(other, records))["complete"] is True
    assert (await load(other, records[:-1]))["complete"] is False
    assert (await load(other, [*records[:2], records[-1]]))["complete"] is False


async def test_two_imports_of_one_file_at_the_same_time_make_one_of_each(other):
    records = [
        record
        for name in range(5)
        for record in (head(f"r{name}"), *(message(f"r{name}", seq) for seq in range(1, 6)))
    ]

    reports = await asyncio.gather(*(load(other, records) for _ in range(4)))

    assert sum(report["conversations"]["imported"] for report in reports) == 5
    assert sum(report["messages"]["imported"] for report in reports) == 25
    assert all(report["skipped"] == 0 for report in reports)
    assert [each["message_count"] for each in (await read(other, "/conversations"))["data"]] == [
        5
    ] * 5


# Framing


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (orjson.dumps([head("f"), message("f", 1)]), JSON),
        (
            b" [\n" + orjson.dumps(head("f")) + b" , " + orjson.dumps(message("f", 1)) + b"\r\n]\n",
            JSON,
        ),
        (b"\xef\xbb\xbf" + to_lines([head("f"), message("f", 1)]), LINES),
        (to_lines([head("f"), message("f", 1)]).replace(b"\n", b"\r\n"), LINES),
        (to_lines([head("f"), message("f", 1)]).rstrip(), {"Content-Type": "application/jsonl"}),
    ],
)
async def test_records_come_in_lines_or_in_an_array(other, content, headers):
    report = await load(other, content, headers=headers)

    assert (report["skipped"], report["lines"]) == (0, 2)
    assert counts(report, "messages") == (1, 0)


@pytest.mark.parametrize(
    "content", [b"", b"[", b"[1,]", b"[,1]", b"[1 2]", b"[1]x", b"{", b"\xff", b"[" * 100_000]
)
async def test_a_document_that_is_no_json_is_refused(other, content):
    assert (await load(other, content, headers=JSON, status=400))["code"] == "malformed_json"


async def test_one_bad_item_of_an_array_spoils_no_other(other):
    # One that is too deep to be passed over at all is no document.
    bad = [item for item in REFUSED.values() if item.count(b"[") + item.count(b"{") < 500]
    items = [orjson.dumps(head("f")), *bad, orjson.dumps(message("f", 1))]

    report = await load(other, b"[" + b",".join(items) + b"]", headers=JSON)

    assert counts(report, "messages") == (1, 0)
    assert report["skipped"] == len(bad) > 5


@pytest.mark.parametrize("content", [b"", b"\n\n", b"[]"])
async def test_nothing_is_imported_from_nothing(other, content):
    report = await load(other, content, headers=JSON if content == b"[]" else LINES)

    assert report["conversations"] == NO_COUNT
    assert report["skipped"] == 0


@pytest.mark.parametrize("kind", ["text/csv", "application/x-www-form-urlencoded", ""])
async def test_another_media_type_is_refused(api, kind):
    refusal = await load(api, b"{}", headers={"Content-Type": kind}, status=415)

    assert refusal["code"] == "unsupported_media_type"


async def test_an_unknown_format_or_parameter_is_refused(api):
    assert (await load(api, b"", kind="mbox", status=422))["errors"][0]["field"] == "format"
    assert (await load(api, b"", status=422, mode="x"))["errors"][0]["field"] == "mode"


async def test_whatever_is_sent_is_no_error_of_ours(other):
    """Bytes of valid files, turned over at random."""
    random.seed(20)
    bodies = {
        "tenantry": to_lines([head("z"), message("z", 1), message("z", 2)]),
        "openai-chat": to_lines([{"messages": [user(), {"role": "assistant", "content": "x"}]}]),
        "chatgpt": orjson.dumps(
            [
                {
                    "conversation_id": "c",
                    "current_node": "a",
                    "mapping": {
                        "a": {
                            "parent": None,
                            "message": {"author": {"role": "user"}, "content": {"parts": ["x"]}},
                        }
                    },
                }
            ]
        ),
    }
    for kind, body in bodies.items():
        for _ in range(60):
            changed = bytearray(body)
            for _ in range(random.randint(1, 6)):
                changed[random.randrange(len(changed))] = random.choice(b'{}[]",:0nux\\ ')
            for headers in (LINES, JSON):
                answer = await other.post(
                    "/imports", params={"format": kind}, content=bytes(changed), headers=headers
                )
                assert answer.status_code in (200, 400, 422), (answer.text, bytes(changed))
