"""Calls whose connection is cut: what was committed is not written a second time."""

import threading

import pytest
from tenantry_client import ConnectionFailed, Tenantry

HELLO = {"role": "user", "content": "Hello"}


@pytest.mark.parametrize("count", [1, 2])
def test_an_append_whose_answer_is_lost_is_written_once(client, proxy, cut_client, count):
    conversation = client.conversations.create()
    proxy.cut_answers(count)

    message = cut_client.messages.append(conversation.id, HELLO)

    assert proxy.cuts == count
    assert [each.id for each in client.messages.list(conversation.id)] == [message.id]


def test_two_appends_that_are_alike_are_two(client, proxy, cut_client):
    conversation = client.conversations.create()
    for _ in range(2):
        proxy.cut_answers(1)
        cut_client.messages.append_all(conversation.id, [HELLO, HELLO])

    assert [each.seq for each in client.messages.list(conversation.id)] == [1, 2, 3, 4]


def test_an_append_at_an_expected_position_is_not_refused_for_what_it_wrote(
    client, proxy, cut_client
):
    conversation = client.conversations.create()
    proxy.cut_answers(1)
    assert cut_client.messages.append(conversation.id, HELLO, expected_seq=0).seq == 1


@pytest.mark.slow
def test_every_kind_of_writing_is_done_once(client, proxy, cut_client):
    def cut(count=1):
        proxy.cut_answers(count)
        return cut_client

    made = cut().conversations.create(user_id="cut", messages=[HELLO])
    fork = cut().conversations.fork(made.id, 1)
    cut().conversations.update(made.id, title="Oslo")
    call = {"call_id": "call_1", "name": "get_weather"}
    cut().messages.append(made.id, {"role": "assistant", "tool_calls": [call]})
    assert cut().tool_calls.start(made.id, "call_1").attempts == 1
    assert cut().tool_calls.report_result(made.id, "call_1", "rain").status == "succeeded"
    summary = cut().summaries.add(made.id, 1, 2, "They greet.")
    file = cut().attachments.upload("a.txt", b"Oslo", "text/plain", conversation_id=made.id)
    cut().attachments.delete(file.id)
    cut().conversations.archive(fork.id)
    cut().conversations.delete(fork.id)
    cut().conversations.restore(fork.id)

    assert proxy.cuts == 12
    assert {each.id for each in client.conversations.list(user_id="cut")} == {made.id, fork.id}
    assert client.conversations.get(made.id).title == "Oslo"
    assert [each.role for each in client.messages.list(made.id)] == ["user", "assistant", "tool"]
    assert [each.id for each in client.summaries.list(made.id)] == [summary.id]
    assert cut().users.erase("cut").status == "completed"


def test_a_request_that_never_arrived_is_sent_again(client, proxy, cut_client):
    conversation = client.conversations.create()
    proxy.cut_requests(2)
    assert cut_client.messages.append(conversation.id, HELLO).seq == 1


def test_an_answer_that_does_not_come_is_not_waited_for(client, proxy, tenant):
    conversation = client.conversations.create()
    proxy.hold_answers(1)
    with Tenantry(proxy.base_url, tenant.key, timeout=0.5) as impatient:
        impatient.messages.append(conversation.id, HELLO)
    assert [each.seq for each in client.messages.list(conversation.id)] == [1]


def test_it_gives_up_after_as_many_retries_as_it_was_told(tenant, proxy):
    with Tenantry(proxy.base_url, tenant.key, max_retries=1) as client:
        proxy.cut_requests(5)
        with pytest.raises(ConnectionFailed):
            client.conversations.create()
    assert proxy.requests == 2


def test_a_service_that_cannot_be_reached_is_an_error(tenant):
    with (
        Tenantry("http://127.0.0.1:1", tenant.key, max_retries=1) as client,
        pytest.raises(ConnectionFailed),
    ):
        client.conversations.create()


@pytest.mark.slow
def test_ten_writers_over_a_bad_line_lose_and_double_nothing(client, proxy, tenant):
    """All to one conversation; a third of the answers are lost."""
    conversation = client.conversations.create()
    proxy.cut_every(3)
    seen = []

    def write(name):
        with Tenantry(proxy.base_url, tenant.key, max_retries=10) as writer:
            for number in range(20):
                message = {"role": "user", "content": f"{name} {number}"}
                seen.append(writer.messages.append(conversation.id, message))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert proxy.cuts > 30
    written = list(client.messages.list(conversation.id, limit=100))
    assert [each.seq for each in written] == list(range(1, 201))
    assert {each.id: each.content for each in written} == {each.id: each.content for each in seen}
