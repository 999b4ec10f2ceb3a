import asyncio
import contextlib
import re
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest
from sqlalchemy import insert, select, update

from conversations import schemas
from conversations.models import Attachment, Conversation, Feedback, Message, Summary
from conversations.service import export as export_service
from conversations.service.export import PAGE_ROWS
from project.dev.settings import ROOT
from tenants.db.unit_of_work import get_pool_state, write_session
from tenants.errors import ConnectionLost, DatabaseUnavailable
from tenants.ids import new_id
from tenants.testing import API, connect
from tests.conversations.statements import counted_statements
from tests.conversations.test_router import calling, output, start, user
from tests.project.exchange import Exchange

NOW = datetime(2026, 3, 1, 12, 0, 0, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to users and conversations of their own."""
    return await make_tenant()


@pytest.fixture
async def empty(application, make_tenant):
    """A tenant without conversations, and its client."""
    tenant = await make_tenant()
    url = f"http://localhost{API}"
    async with connect(application, base_url=url, tenant=tenant) as client:
        yield tenant, client


async def export(api, path="/export"):
    answer = await api.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.text.endswith("\n")
    return [orjson.loads(line) for line in answer.text.splitlines()]


def of_type(records, kind):
    return [record for record in records if record["type"] == kind]


def key_of(shown):
    return shown.partition("_")[2]


async def add_rows(tenant, *rows):
    async with write_session(tenant.ref) as session:
        for model, values in rows:
            await session.execute(insert(model), values)


async def make_long(tenant, count, text="x", **values):
    """A conversation of so many messages, by Core."""
    head = {"id": new_id(), "last_seq": count, "message_count": count, **values}
    moments = dict.fromkeys(("created_at", "updated_at", "last_activity_at"), NOW)
    messages = [
        {
            "id": new_id(),
            "conversation_id": head["id"],
            "seq": seq,
            "role": "user",
            "text": f"{text} {seq}",
            "created_at": NOW,
        }
        for seq in range(1, count + 1)
    ]
    rows = [(Message, messages[at : at + 2000]) for at in range(0, count, 2000)]
    await add_rows(tenant, (Conversation, {**head, **moments}), *rows)
    return f"conv_{head['id'].hex}"


async def test_a_conversation_comes_with_all_that_belongs_to_it(api, tenant):
    started = await start(
        api,
        user_id="ann",
        title="T",
        metadata={"a": 1},
        messages=[user("hé", token_count=3), calling("c1", content="Hm", model="m"), output("c1")],
    )
    key, message = key_of(started["id"]), key_of(started["messages"][0]["id"])
    await add_rows(
        tenant,
        (
            Summary,
            {
                "id": new_id(),
                "conversation_id": key,
                "from_seq": 1,
                "to_seq": 2,
                "text": "S",
                "created_at": NOW,
            },
        ),
        (
            Feedback,
            {
                "id": new_id(),
                "conversation_id": key,
                "message_id": message,
                "author": "ann",
                "rating": "up",
                "created_at": NOW,
                "updated_at": NOW,
            },
        ),
        (
            Attachment,
            {
                "id": new_id(),
                "conversation_id": key,
                "name": "a.png",
                "media_type": "image/png",
                "size": 3,
                "sha256": b"\x01\xff",
                "storage_name": "secret/place",
                "created_at": NOW,
            },
        ),
    )

    records = await export(api, f"/conversations/{started['id']}/export")

    assert [record["type"] for record in records] == [
        "header",
        "conversation",
        *["message"] * 3,
        "summary",
        "feedback",
        "attachment",
        "end",
    ]
    header, conversation, first, second, third, summary, feedback, attachment, end = records
    assert (header["format"], header["version"]) == ("tenantry", 1)
    assert {**conversation, "type": None}.items() >= {
        "id": started["id"],
        "user_id": "ann",
        "title": "T",
        "metadata": {"a": 1},
        "last_seq": 3,
        "created_at": started["created_at"],
    }.items()
    assert (first["content"], first["token_count"], first["seq"]) == ("hé", 3, 1)
    (call,) = second["tool_calls"]
    assert (call["call_id"], call["status"], call["arguments"]) == ("c1", "succeeded", {"of": "c1"})
    assert call["output_message_id"] == third["id"]
    assert (third["role"], third["call_id"]) == ("tool", "c1")
    assert (summary["text"], summary["created_at"]) == ("S", "2026-03-01T12:00:00.000005Z")
    assert (feedback["seq"], feedback["message_id"]) == (1, first["id"])
    assert attachment["sha256"] == "01ff"
    assert "storage_name" not in attachment
    assert {each.get("conversation_id", started["id"]) for each in records} == {started["id"]}
    assert end["counts"] == {
        "conversations": 1,
        "messages": 3,
        "tool_calls": 1,
        "summaries": 1,
        "feedback": 1,
        "attachments": 1,
    }


def test_the_documentation_names_every_field():
    page = (ROOT / "docs" / "transfer.md").read_text()
    rows = dict(re.findall(r"^\| (?:in )?`(\w+)` \| (.+) \|$", page, re.MULTILINE))
    models = {
        "header": schemas.Header,
        "conversation": schemas.ConversationRecord,
        "message": schemas.MessageRecord,
        "tool_calls": schemas.CallRecord,
        "summary": schemas.SummaryRecord,
        "feedback": schemas.FeedbackRecord,
        "attachment": schemas.AttachmentRecord,
        "end": schemas.End,
    }
    for kind, model in models.items():
        named = set(re.findall(r"`(\w+)`", rows[kind])) - {"tenantry"}
        assert named == set(model.model_fields) - {"type", "deleted_at"}, kind


async def test_a_user_gets_what_is_theirs(api, tenant):
    owner = "a/b ü%"
    theirs = [(await start(api, user_id=owner, messages=[user()]))["id"] for _ in range(3)]
    await start(api, user_id="other", messages=[user()])
    loose = {
        "id": new_id(),
        "user_id": owner,
        "name": "n",
        "media_type": "text/plain",
        "size": 0,
        "sha256": b"",
        "storage_name": "s",
        "created_at": NOW,
    }
    await add_rows(
        tenant, (Attachment, loose), (Attachment, {**loose, "id": new_id(), "user_id": "other"})
    )

    records = await export(api, "/users/a%2Fb%20%C3%BC%25/export")

    assert [each["id"] for each in of_type(records, "conversation")] == theirs
    assert [each["user_id"] for each in of_type(records, "attachment")] == [owner]
    assert records[-1]["counts"]["messages"] == 3


@pytest.mark.parametrize(
    "path",
    [
        f"/conversations/conv_{'0' * 32}/export",
        "/conversations/x/export",
        "/users/nobody/export",
        f"/users/{'x' * 1000}/export",
        "/users/%F0%9F%98%80/export",
    ],
)
async def test_what_nobody_has_is_not_found_before_anything_is_sent(api, path):
    answer = await api.get(path)

    assert answer.status_code == 404
    assert answer.json()["code"] in ("conversation_not_found", "user_not_found")


async def test_a_deleted_conversation_is_not_exported(api):
    started = await start(api, user_id="gone", messages=[user()])
    await api.delete(f"/conversations/{started['id']}")

    assert (await api.get(f"/conversations/{started['id']}/export")).status_code == 404
    assert (await api.get("/users/gone/export")).status_code == 404


async def test_a_hidden_message_leaves_its_place_and_nothing_else(api, tenant):
    started = await start(
        api,
        messages=[
            user("one"),
            calling("c1", content="secret"),
            output("c1", "secret"),
            user("two"),
        ],
    )
    async with write_session(tenant.ref) as session:
        for model, shown in ((Message, started["messages"][1]), (Message, started["messages"][2])):
            await session.execute(
                update(model).where(model.id == key_of(shown["id"])).values(deleted_at=NOW)
            )

    records = await export(api, f"/conversations/{started['id']}/export")

    messages = of_type(records, "message")
    assert [message["seq"] for message in messages] == [1, 2, 3, 4]
    assert set(messages[2]) == {"type", "conversation_id", "id", "seq", "role", "deleted_at"}
    assert set(messages[1]["tool_calls"][0]) == {"id", "call_id", "status", "deleted_at"}
    assert b"secret" not in orjson.dumps(records)


async def test_a_content_that_was_deleted_alone_is_neither_exported_nor_copied(api, tenant):
    original = await start(api, messages=[calling("a", content="secret")])
    path = f"/conversations/{original['id']}"
    item = original["messages"][0]["id"]
    url = f"http://localhost/openai/v1{path}/items/{item}"
    assert (await api.delete(url)).status_code == 200

    forked = (await api.post(f"{path}/forks", json={"at_seq": 1})).json()

    (message,) = of_type(await export(api, f"{path}/export"), "message")
    assert (message["content"], message["extra"]) == (None, None)
    assert len(message["tool_calls"]) == 1
    async with write_session(tenant.ref) as session:
        keys = select(Message.extra).where(Message.conversation_id == UUID(key_of(forked["id"])))
        assert (await session.scalars(keys)).all() == [{}]


async def test_a_tenant_without_conversations_exports_an_empty_whole(empty):
    records = await export(empty[1])

    assert [record["type"] for record in records] == ["header", "end"]
    assert set(records[-1]["counts"].values()) == {0}


async def test_many_conversations_come_whole_and_in_the_order_of_their_beginning(empty):
    tenant, api = empty
    sizes = [0, 1, 3, PAGE_ROWS, 150, 60, PAGE_ROWS + 1, *[2] * 120, 0]
    made = [await make_long(tenant, size) for size in sizes]

    with counted_statements() as statements:
        records = await export(api)

    assert [each["id"] for each in of_type(records, "conversation")] == made
    seen = [(each["conversation_id"], each["seq"]) for each in of_type(records, "message")]
    assert seen == [
        (each, seq) for each, size in zip(made, sizes, strict=True) for seq in range(1, size + 1)
    ]
    # A conversation's lines follow its own.
    current = None
    for record in records[1:-1]:
        current = record["id"] if record["type"] == "conversation" else current
        assert record["type"] == "conversation" or record["conversation_id"] == current
    assert records[-1]["counts"]["messages"] == sum(sizes)
    assert len(statements) < len(made)


@pytest.mark.parametrize("count", [4_000, pytest.param(20_000, marks=pytest.mark.slow)])
async def test_a_long_conversation_is_read_page_by_page_and_no_connection_is_held(
    application, empty, monkeypatch, count
):
    """However many messages there are, never more than a page of them is in memory."""
    tenant, _ = empty
    await make_long(tenant, count)
    read, sent_between = [], []
    real = export_service.repository.read_messages

    async def count_rows(*args):
        rows = await real(*args)
        read.append(len(rows))
        return rows

    monkeypatch.setattr(export_service.repository, "read_messages", count_rows)
    exchange = Exchange(
        "GET",
        f"{API}/export",
        headers=[(b"host", b"localhost"), (b"authorization", f"Bearer {tenant.key}".encode())],
    )

    async def send(message):
        # While a part is being sent, nothing is read and no connection is in use.
        before = sum(read)
        await asyncio.sleep(0)
        assert sum(read) == before
        assert get_pool_state().in_use == 0
        exchange.sent.append(message)
        sent_between.append(message.get("body", b"").count(b'"type":"message"'))

    exchange.send = send
    await exchange.run(application)

    assert exchange.status == 200
    assert max(read) == PAGE_ROWS
    assert max(sent_between) == PAGE_ROWS
    assert sum(read) == exchange.body.count(b'"type":"message"') == count
    assert orjson.loads(exchange.body.splitlines()[-1])["counts"]["messages"] == count


async def test_long_texts_make_shorter_pages(empty, monkeypatch):
    monkeypatch.setattr(export_service, "_PAGE_BYTES", 10_000)
    tenant, api = empty
    await make_long(tenant, 30, text="x" * 999)
    await make_long(tenant, 1, text="y" * 30_000)
    await make_long(tenant, 5)

    records = await export(api)

    assert [each["seq"] for each in of_type(records, "message")] == [
        *range(1, 31),
        1,
        *range(1, 6),
    ]


async def test_many_things_about_a_small_conversation_come_in_pages(empty):
    tenant, api = empty
    shown = await make_long(tenant, 2)
    (first, *_) = of_type(await export(api), "message")
    common = {"conversation_id": key_of(shown), "created_at": NOW}
    opinions = [
        {
            **common,
            "id": new_id(),
            "message_id": key_of(first["id"]),
            "author": f"a{number}",
            "updated_at": NOW,
        }
        for number in range(PAGE_ROWS * 2 + 1)
    ]
    late = {**common, "id": new_id(), "from_seq": 1, "to_seq": 3, "text": "of later messages"}
    await add_rows(tenant, (Feedback, opinions), (Summary, late))
    await make_long(tenant, 2)

    records = await export(api)

    assert [each["author"] for each in of_type(records, "feedback")] == [
        each["author"] for each in opinions
    ]
    assert of_type(records, "summary") == []
    assert len(of_type(records, "conversation")) == 2


async def test_messages_that_come_meanwhile_are_left_out(empty, monkeypatch):
    tenant, api = empty
    shown = await make_long(tenant, PAGE_ROWS * 2)
    real = export_service.repository.read_messages

    async def append_first(*args):
        await api.post(f"/conversations/{shown}/messages", json={"role": "user", "content": "late"})
        return await real(*args)

    monkeypatch.setattr(export_service.repository, "read_messages", append_first)
    records = await export(api)

    (head,) = of_type(records, "conversation")
    assert [each["seq"] for each in of_type(records, "message")] == list(
        range(1, head["last_seq"] + 1)
    )


@pytest.mark.parametrize("failure", [RuntimeError, DatabaseUnavailable])
async def test_an_export_that_fails_on_its_way_has_no_end(application, empty, monkeypatch, failure):
    tenant, _ = empty
    await make_long(tenant, PAGE_ROWS * 3)
    real, calls = export_service.repository.read_messages, []

    async def fail_late(*args):
        calls.append(args)
        if len(calls) > 2:
            raise failure
        return await real(*args)

    monkeypatch.setattr(export_service.repository, "read_messages", fail_late)
    exchange = Exchange(
        "GET",
        f"{API}/export",
        headers=[(b"host", b"localhost"), (b"authorization", f"Bearer {tenant.key}".encode())],
    )
    with contextlib.suppress(RuntimeError):
        await exchange.run(application)

    assert exchange.status == 200
    assert exchange.sent[-1]["more_body"]
    assert b'"type":"end"' not in exchange.body


async def test_a_page_whose_connection_is_lost_is_read_again(empty, monkeypatch):
    tenant, api = empty
    await make_long(tenant, PAGE_ROWS * 2)
    real, calls = export_service.repository.read_messages, []

    async def lose_one(*args):
        calls.append(args)
        if len(calls) == 2:
            raise ConnectionLost
        return await real(*args)

    monkeypatch.setattr(export_service.repository, "read_messages", lose_one)

    assert len(of_type(await export(api), "message")) == PAGE_ROWS * 2
