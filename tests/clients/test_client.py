"""The Python client against a server, in whole scenarios."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest
from tenantry_client import (
    AsyncTenantry,
    Conflict,
    ConnectionFailed,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    PreconditionFailed,
    Tenantry,
)

HELLO = {"role": "user", "content": "Hello"}
ASKING = {
    "role": "assistant",
    "tool_calls": [{"call_id": "call_1", "name": "get_weather", "arguments": {"city": "Oslo"}}],
}


def test_a_conversation_lives_and_dies(client):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    made = client.conversations.create(
        user_id="user-7", title="Oslo", expires_at=tomorrow, metadata={"a": [1]}, messages=[HELLO]
    )
    assert [message.content for message in made.messages] == ["Hello"]
    assert abs(made.expires_at - tomorrow) < timedelta(seconds=1)
    changed = client.conversations.update(made.id, read_seq=1, expires_at=None, title=None)
    assert (changed.unread_count, changed.expires_at, changed.title) == (0, None, None)
    appended = client.messages.append(
        made.id,
        {
            "role": "assistant",
            "content": "Hi",
            "model": "m",
            "usage": {"input_tokens": 3, "output_tokens": 2},
            "cost": Decimal("0.0000000021"),
        },
    )
    assert client.messages.get(made.id, appended.id) == appended
    assert (appended.cost, appended.usage.input_tokens) == (Decimal("0.0000000021"), 3)
    assert client.conversations.archive(made.id).status == "archived"
    with pytest.raises(Conflict) as refusal:
        client.messages.append(made.id, HELLO)
    assert refusal.value.code == "conversation_archived"
    assert client.conversations.update(made.id, status="active").status == "active"

    client.conversations.delete(made.id)
    with pytest.raises(NotFound) as refusal:
        client.conversations.get(made.id)
    assert (refusal.value.code, bool(refusal.value.request_id)) == ("conversation_not_found", True)
    assert client.conversations.restore(made.id).id == made.id
    receipt = client.conversations.erase(made.id)
    assert (receipt.status, receipt.removed["messages"]) == ("completed", 2)
    assert client.erasures.get(receipt.id) == receipt
    assert [each.id for each in client.erasures.list(subject=made.id)] == [receipt.id]


def test_conversations_are_found_again(client):
    made = client.conversations.create(
        user_id="finder", metadata={"channel": "web"}, messages=[HELLO]
    )
    other = client.conversations.create(user_id="finder")

    def found(**filters):
        return [each.id for each in client.conversations.list(user_id="finder", **filters)]

    assert found(limit=1) == [other.id, made.id]
    assert found(order="asc") == [made.id, other.id]
    assert found(metadata={"channel": "web"}) == found(unread=True) == [made.id]
    assert found(active_before=made.created_at) == []
    page = client.conversations.list(user_id="finder", limit=1).first()
    assert found(limit=1, after=page.next_cursor) == [made.id]
    (hit,) = client.search("hello", user_id="finder")
    assert hit.message_id == made.messages[0].id
    assert [part.text for part in hit.snippet if part.highlighted] == ["Hello"]


def test_conversations_branch(client):
    made = client.conversations.create(messages=[HELLO, {"role": "assistant", "content": "Hi"}])
    fork = client.conversations.fork(made.id, 1, title="By train")
    edited = client.messages.edit(made.id, made.messages[0].id, content="Good day")

    assert (fork.parent_id, fork.fork_seq, fork.title) == (made.id, 1, "By train")
    assert [message.content for message in client.messages.list(edited.id)] == ["Good day"]
    branches = client.conversations.branches(made.id)
    assert {branch.id for branch in branches.data} == {fork.id, edited.id}
    assert [each.id for each in client.conversations.branches(fork.id).path] == [made.id, fork.id]


def test_what_a_model_gets_is_fit_for_it(client):
    made = client.conversations.create(messages=[HELLO] * 4)
    summary = client.summaries.add(made.id, 1, 2, "They greet.", token_count=3)
    context = client.conversations.context(
        made.id, format="openai-chat", model="m", max_tokens=2_000
    )

    assert context.request["model"] == "m"
    assert len(context.request["messages"]) == 4
    assert (context.from_seq, context.truncated, context.summary) == (1, False, None)
    assert [each.id for each in client.summaries.list(made.id)] == [summary.id]
    client.summaries.delete(made.id, summary.id)
    assert list(client.summaries.list(made.id)) == []
    assert client.conversations.check(made.id).ok
    assert client.conversations.repair(made.id).mended == []


def test_a_list_is_walked_page_by_page(client):
    conversation = client.conversations.create()
    for start in (0, 75):
        batch = [{**HELLO, "content": str(start + number)} for number in range(75)]
        client.messages.append_all(conversation.id, batch)

    pages = client.messages.list(conversation.id, limit=40)

    assert [message.content for message in pages] == [str(number) for number in range(150)]
    assert [each.seq for each in pages] == list(range(1, 151))  # Once more, from the beginning.
    first = pages.first()
    assert (len(first.data), first.has_more) == (40, True)
    newest = client.messages.list(conversation.id, order="desc", limit=2).first()
    assert [message.seq for message in newest.data] == [150, 149]


def test_a_tool_call_goes_through_its_life(client):
    conversation = client.conversations.create()
    calls = [
        {"call_id": f"call_{name}", "name": "get_weather", "requires_approval": True}
        for name in "abcd"
    ]
    client.messages.append(conversation.id, {"role": "assistant", "tool_calls": calls})
    of = client.tool_calls

    with pytest.raises(Conflict) as refusal:
        of.start(conversation.id, "call_a")
    assert refusal.value.code == "tool_call_awaits_approval"
    assert of.approve(conversation.id, "call_a", by="user-7").decided_by == "user-7"
    of.start(conversation.id, "call_a")
    assert of.start(conversation.id, "call_a").attempts == 2
    of.report_result(conversation.id, "call_a", "12 °C")
    of.approve(conversation.id, "call_b", by="user-7", reason="Fine")
    of.report_result(conversation.id, "call_b", error="No service")
    of.deny(conversation.id, "call_c", by="user-7", reason="No")
    of.cancel(conversation.id, "call_d")

    statuses = [call.status for call in of.list(conversation.id, limit=2)]
    assert statuses == ["succeeded", "failed", "denied", "cancelled"]
    assert list(of.list(conversation.id, open=True)) == []
    assert of.get(conversation.id, "call_b").error == "No service"


def test_authors_say_what_they_think(client):
    made = client.conversations.create(messages=[HELLO, HELLO])
    first, second = made.messages
    client.feedback.give(made.id, first.id, "user-7", "down")
    given = client.feedback.give(made.id, first.id, "user-7", comment="It rained.")
    client.feedback.give(made.id, second.id, "user-7", "up")

    assert [each.id for each in client.feedback.list(made.id, first.id)] == [given.id]
    assert [each.seq for each in client.feedback.list(made.id)] == [1, 2]
    client.feedback.withdraw(made.id, first.id, given.id)
    assert [each.rating for each in client.feedback.list(made.id)] == ["up"]


def test_files_go_up_and_come_down(client):
    content = bytes(range(256)) * 20
    attachment = client.attachments.upload("ä b.bin", content, user_id="user-9")
    assert (attachment.name, attachment.size) == ("ä b.bin", len(content))
    assert client.attachments.download(attachment.id) == content
    client.attachments.delete(attachment.id)
    with pytest.raises(NotFound):
        client.attachments.get(attachment.id)


def test_what_is_exported_can_be_imported_elsewhere(client, service, tenant):
    made = client.conversations.create(user_id="mover", messages=[HELLO, ASKING])
    records = list(client.users.export("mover"))
    assert [each["type"] for each in records][:2] == ["header", "conversation"]
    assert [each["type"] for each in client.export()][-1] == "end"
    with pytest.raises(NotFound):
        list(client.users.export("nobody"))
    client.conversations.erase(made.id)

    with httpx.Client(
        base_url=f"{service.base_url}/api/v1", headers={"Authorization": f"Bearer {tenant.key}"}
    ) as http:
        again = client.conversations.create(user_id="mover", messages=[HELLO])
        lines = http.get(f"/conversations/{again.id}/export").content
    report = client.import_lines(lines)
    assert (report.complete, report.conversations.already_there, report.skipped) == (True, 1, 0)
    assert client.import_lines(b"{}\n").skipped_lines[0].line == 1


def test_what_was_used_is_summed_up(client):
    usage = {"input_tokens": 5, "output_tokens": 2}
    message = {**HELLO, "role": "assistant", "model": "meter", "usage": usage, "cost": "0.5"}
    client.conversations.create(user_id="user-u", messages=[message, message])
    report = client.usage(group_by=("day", "model"), model="meter", timezone="Europe/Oslo")
    (row,) = report.data

    assert (row.model, row.input_tokens, row.cost, row.user_id) == ("meter", 10, Decimal(1), None)
    assert report.totals.messages == 2
    assert report.start < row.day < report.end
    empty = client.usage(report.start - timedelta(days=9), report.start - timedelta(days=8))
    assert empty.data == []


def test_a_user_is_erased(client):
    client.conversations.create(user_id="a/b ?.", messages=[HELLO])
    assert client.users.erase("a/b ?.").removed["conversations"] == 1
    for odd in (".", ".."):
        client.conversations.create(user_id=odd)
        assert client.users.erase(odd).subject == odd


def test_what_is_refused_says_why(client, service):
    conversation = client.conversations.create(messages=[HELLO])
    with pytest.raises(PreconditionFailed) as refusal:
        client.messages.append(conversation.id, HELLO, expected_seq=5)
    assert refusal.value.last_seq == 1
    with pytest.raises(InvalidRequest) as refusal:
        client.messages.append(conversation.id, {"role": "nobody"})
    assert refusal.value.errors[0][0] == "role"
    with Tenantry(service.base_url, "tnt_wrong") as stranger, pytest.raises(NotAuthenticated):
        stranger.conversations.get(conversation.id)


def test_an_export_that_is_cut_is_no_whole_one(client):
    """The service ends each export with a line that says so; without it something is missing."""

    def cut(request):
        return httpx.Response(200, text='{"type":"header"}\n')

    with (
        httpx.Client(transport=httpx.MockTransport(cut)) as http,
        Tenantry("http://service", "tnt_x", http_client=http) as cut_client,
        pytest.raises(ConnectionFailed, match="cut off"),
    ):
        list(cut_client.export())


async def test_the_asynchronous_client_does_the_same_in_the_application_itself(application, tenant):
    transport = httpx.ASGITransport(application)
    async with (
        httpx.AsyncClient(transport=transport) as http,
        AsyncTenantry("http://localhost", tenant.key, http_client=http) as client,
    ):
        made = await client.conversations.create(user_id="async", messages=[HELLO])
        appended = await client.messages.append_all(made.id, [ASKING, HELLO], expected_seq=1)
        await client.tool_calls.report_result(made.id, "call_1", "12 °C")
        assert [each.seq async for each in client.messages.list(made.id, limit=2)] == [1, 2, 3, 4]
        assert await client.messages.get(made.id, appended[1].id) == appended[1]
        assert (await client.conversations.list(user_id="async").first()).data[0].id == made.id
        assert [each["type"] async for each in client.conversations.export(made.id)][-1] == "end"
        with pytest.raises(Conflict) as refusal:
            await client.tool_calls.report_result(made.id, "call_1", "13 °C")
        assert refusal.value.code == "tool_call_completed"
        await client.conversations.delete(made.id)
        with pytest.raises(NotFound):
            await client.conversations.get(made.id)
