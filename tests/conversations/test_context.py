"""Contexts over the API: what is in them, what is left out, and what stands for that."""

import pytest

WORDS = "word " * 40  # 50 tokens by the estimate, 54 with what surrounds it.


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    return await make_tenant()


async def start(api, *messages):
    answer = await api.post("/conversations", json={"messages": messages})
    assert answer.status_code == 201, answer.text
    return f"/conversations/{answer.json()['id']}"


async def context_of(api, path, status=200, **query):
    answer = await api.get(f"{path}/context", params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def summarize(api, path, from_seq, to_seq, text="In short.", status=201, **more):
    body = {"from_seq": from_seq, "to_seq": to_seq, "text": text, **more}
    answer = await api.post(f"{path}/summaries", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def user(content="Hi", **more):
    return {"role": "user", "content": content, **more}


def says(content="Hello", **more):
    return {"role": "assistant", "content": content, **more}


def calling(*call_ids, content=None, **more):
    calls = [{"call_id": each, "name": "look_up", "arguments": {"of": each}} for each in call_ids]
    return {"role": "assistant", "content": content, "tool_calls": calls, **more}


def output(call_id, content="found", **more):
    return {"role": "tool", "call_id": call_id, "content": content, **more}


def seqs(context):
    return [message["seq"] for message in context["request"]["messages"]]


# What is in it


async def test_a_context_that_fits_is_the_whole_history(api):
    path = await start(api, user("one"), calling("a"), output("a"), says("two"))

    context = await context_of(api, path)

    assert context["request"]["messages"] == (await api.get(f"{path}/messages")).json()["data"]
    assert (context["from_seq"], context["to_seq"]) == (1, 4)
    assert (context["truncated"], context["summary"], context["unsummarized"]) == (
        False,
        None,
        None,
    )
    assert context["max_tokens"] == 32_000
    assert context["estimated_count"] == 4


async def test_a_conversation_without_messages_has_an_empty_context(api):
    path = await start(api)

    for shape, name in (("native", "messages"), ("openai-responses", "input")):
        context = await context_of(api, path, format=shape)
        assert context["request"] == {name: []}
        assert (context["from_seq"], context["to_seq"], context["token_count"]) == (None, None, 0)
        assert context["truncated"] is False


async def test_the_newest_messages_are_taken_up_to_the_budget(api):
    path = await start(api, *(user(str(number), token_count=10) for number in range(10)))

    for budget, first in ((10, 10), (39, 8), (40, 7), (99, 2), (100, 1)):
        context = await context_of(api, path, max_tokens=budget)
        assert seqs(context) == list(range(first, 11))
        assert context["token_count"] == 10 * (11 - first)
        assert context["truncated"] is (first > 1)
        assert context["unsummarized"] == (
            {"from_seq": 1, "to_seq": first - 1} if first > 1 else None
        )


async def test_stored_counts_are_believed_and_the_others_are_estimated(api):
    path = await start(api, user(WORDS), user(WORDS, token_count=7), user("日本語" * 10))

    context = await context_of(api, path)

    assert context["estimated_count"] == 2
    assert context["token_count"] == 54 + 7 + 34


async def test_a_call_is_never_parted_from_its_output(api):
    path = await start(
        api,
        user("zero", token_count=1),
        calling("a", "b", token_count=10),
        output("a", token_count=10),
        output("b", token_count=10),
        user("last", token_count=1),
    )

    assert seqs(await context_of(api, path, max_tokens=30)) == [5]
    assert seqs(await context_of(api, path, max_tokens=31)) == [2, 3, 4, 5]
    assert seqs(await context_of(api, path, max_tokens=32)) == [1, 2, 3, 4, 5]


async def test_an_output_that_came_late_stands_with_its_call(api):
    path = await start(
        api,
        calling("a", token_count=10),
        user("meanwhile", token_count=1),
        says("wait", token_count=1),
    )
    result = await api.post(f"{path}/tool-calls/a/result", json={"output": "late"})
    assert result.is_success

    assert seqs(await context_of(api, path)) == [1, 4, 2, 3]
    assert seqs(await context_of(api, path, max_tokens=5)) == [2, 3]


async def test_a_call_without_output_gets_one(api):
    path = await start(api, calling("a", "b"), output("b"), user("well?"))

    context = await context_of(api, path, format="openai-chat")

    roles = [(each["role"], each.get("tool_call_id")) for each in context["request"]["messages"]]
    assert roles == [("assistant", None), ("tool", "a"), ("tool", "b"), ("user", None)]


async def test_what_instructs_the_model_is_always_kept(api):
    path = await start(
        api,
        {"role": "system", "content": "Be kind.", "token_count": 5},
        user("one", token_count=10),
        {"role": "developer", "content": "Be brief.", "token_count": 5},
        user("two", token_count=10),
        user("three", token_count=10),
    )

    context = await context_of(api, path, max_tokens=20)

    assert seqs(context) == [1, 3, 5]
    assert (context["from_seq"], context["to_seq"], context["token_count"]) == (5, 5, 20)
    assert context["unsummarized"] == {"from_seq": 2, "to_seq": 4}
    assert seqs(await context_of(api, path, max_tokens=30)) == [1, 3, 4, 5]


@pytest.mark.parametrize("shape", ["native", "openai-chat", "openai-responses"])
async def test_a_budget_too_small_for_the_newest_is_refused_and_says_what_it_takes(api, shape):
    path = await start(
        api,
        {"role": "system", "content": "Be kind.", "token_count": 5},
        user("one", token_count=1),
        calling("a", token_count=10),
        output("a", token_count=10),
    )

    problem = await context_of(api, path, status=422, max_tokens=24, format=shape)

    assert problem["code"] == "budget_too_small"
    assert problem["errors"] == [{"field": "max_tokens", "reason": "must be at least 25"}]
    assert (await context_of(api, path, max_tokens=25, format=shape))["from_seq"] == 3


async def test_an_opening_counts_where_one_is_needed(api):
    path = await start(api, user("one", token_count=10), says("two", token_count=10))
    query = {"format": "anthropic-messages"}

    problem = await context_of(api, path, status=422, max_tokens=15, **query)

    assert problem["errors"] == [{"field": "max_tokens", "reason": "must be at least 16"}]
    context = await context_of(api, path, max_tokens=16, **query)
    assert [turn["role"] for turn in context["request"]["messages"]] == ["user", "assistant"]
    assert (context["token_count"], context["from_seq"]) == (16, 2)


async def test_instructions_alone_may_be_too_much(api):
    path = await start(api, {"role": "system", "content": "Be kind.", "token_count": 5})

    assert (await context_of(api, path, status=422, max_tokens=4))["code"] == "budget_too_small"
    assert seqs(await context_of(api, path, max_tokens=5)) == [1]


@pytest.mark.parametrize("query", [{"max_tokens": 0}, {"format": "pdf"}, {"x": 1}, {"model": ""}])
async def test_a_query_of_other_values_is_refused(api, query):
    path = await start(api, user())

    await context_of(api, path, status=422, **query)


async def test_a_model_is_put_into_the_request(api):
    path = await start(api, user())

    for shape in ("native", "openai-responses", "openai-chat", "anthropic-messages"):
        context = await context_of(api, path, format=shape, model="example-model-1")
        assert context["request"]["model"] == "example-model-1"


async def test_the_rows_that_are_read_are_bounded(api, monkeypatch):
    from conversations.service import context as service

    settings = service.get_settings().model_copy(update={"max_context_messages": 3})
    monkeypatch.setattr(service, "get_settings", lambda: settings)
    path = await start(
        api, {"role": "system", "content": "Be kind."}, *(user(str(n)) for n in range(8))
    )

    context = await context_of(api, path)

    assert seqs(context) == [1, 7, 8, 9]
    assert context["truncated"] is True
    assert context["unsummarized"] == {"from_seq": 2, "to_seq": 6}


async def test_rows_that_were_cut_off_from_their_call_are_left_out(api, monkeypatch):
    from conversations.service import context as service

    settings = service.get_settings().model_copy(update={"max_context_messages": 2})
    monkeypatch.setattr(service, "get_settings", lambda: settings)
    path = await start(api, calling("a", "b"), output("a"), output("b"), user("last"))

    assert seqs(await context_of(api, path)) == [4]


async def test_another_conversations_messages_are_not_read(api):
    await start(api, user("other"))
    path = await start(api, user("mine"))
    await start(api, {"role": "system", "content": "other"})

    messages = (await context_of(api, path))["request"]["messages"]

    assert [message["content"] for message in messages] == ["mine"]


# Summaries


async def test_summaries_are_kept_listed_and_deleted(api):
    path = await start(api, user(), says(), user())
    first = await summarize(api, path, 1, 1)
    second = await summarize(api, path, 1, 3, "日本", model="m", token_count=2)

    assert second["id"].startswith("sum_")
    assert (second["from_seq"], second["to_seq"], second["text"]) == (1, 3, "日本")
    assert (second["model"], second["token_count"]) == ("m", 2)
    page = (await api.get(f"{path}/summaries", params={"limit": 1})).json()
    assert (page["data"], page["has_more"]) == ([second], True)
    rest = {"limit": 1, "after": page["next_cursor"]}
    assert (await api.get(f"{path}/summaries", params=rest)).json()["data"] == [first]
    oldest = await api.get(f"{path}/summaries", params={"order": "asc"})
    assert oldest.json()["data"] == [first, second]

    assert (await api.delete(f"{path}/summaries/{second['id']}")).status_code == 204
    again = await api.delete(f"{path}/summaries/{second['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "summary_not_found")
    assert (await api.get(f"{path}/summaries")).json()["data"] == [first]


async def test_a_summary_is_deleted_in_its_own_conversation_only(api):
    path, other = await start(api, user()), await start(api, user())
    summary = await summarize(api, path, 1, 1)

    assert (await api.delete(f"{other}/summaries/{summary['id']}")).status_code == 404
    assert (await api.get(f"{path}/summaries")).json()["data"] == [summary]


@pytest.mark.parametrize(
    "body",
    [
        {"from_seq": 0, "to_seq": 1},
        {"from_seq": 2, "to_seq": 1},
        {"from_seq": 1, "to_seq": 2**63},
        {"from_seq": 1, "to_seq": 1, "text": ""},
        {"from_seq": 1, "to_seq": 1, "text": "x" * 100_001},
        {"from_seq": 1, "to_seq": 1, "text": "\0"},
        {"from_seq": 1, "to_seq": 1, "token_count": -1},
        {"from_seq": "1", "to_seq": 1},
        {"to_seq": 1},
    ],
)
async def test_a_summary_of_other_values_is_refused(api, body):
    path = await start(api, user(), user())

    answer = await api.post(f"{path}/summaries", json={"text": "x", **body})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


async def test_a_summary_beyond_the_last_message_is_refused(api):
    path = await start(api, user(), user())

    problem = await summarize(api, path, 1, 3, status=422)

    assert problem["code"] == "position_out_of_range"
    assert problem["errors"][0]["field"] == "to_seq"
    assert (await api.get(f"{path}/summaries")).json()["data"] == []


async def test_the_summary_of_what_is_left_out_is_taken(api):
    path = await start(api, *(user(str(number), token_count=100) for number in range(10)))
    summary = await summarize(api, path, 1, 8, "Eight said.", token_count=10)

    context = await context_of(api, path, max_tokens=350, format="openai-chat")

    assert context["summary"] == summary
    assert (context["from_seq"], context["unsummarized"]) == (8, None)
    assert context["token_count"] == 300 + 10 + 10 + 4  # The introduction, and what surrounds it.
    assert context["request"]["messages"][0] == {
        "role": "user",
        "content": "Summary of the earlier conversation:\n\nEight said.",
    }
    assert seqs(await context_of(api, path, max_tokens=350)) == [8, 9, 10]


async def test_no_summary_is_taken_where_nothing_is_left_out(api):
    path = await start(api, user(), user())
    await summarize(api, path, 1, 2)

    assert (await context_of(api, path))["summary"] is None


async def test_the_summary_that_reaches_furthest_is_taken_if_it_stands_for_all(api):
    path = await start(api, *(user(str(number), token_count=100) for number in range(10)))
    short = await summarize(api, path, 1, 5, token_count=1)
    whole = await summarize(api, path, 1, 8, token_count=1)
    late = await summarize(api, path, 6, 9, token_count=1)

    async def chosen(budget):
        context = await context_of(api, path, max_tokens=budget)
        return context["summary"], context["unsummarized"]

    # 6 to 9 reaches furthest, but has nothing of the beginning.
    assert await chosen(250) == (whole, None)
    assert await chosen(850) == (whole, None)
    await api.delete(f"{path}/summaries/{whole['id']}")
    assert await chosen(550) == (short, None)
    assert await chosen(250) == (late, {"from_seq": 1, "to_seq": 5})
    await api.delete(f"{path}/summaries/{late['id']}")
    assert await chosen(250) == (short, {"from_seq": 6, "to_seq": 8})


async def test_the_newest_messages_go_before_a_summary(api):
    path = await start(api, *(user(str(number), token_count=100) for number in range(3)))
    await summarize(api, path, 1, 2, token_count=50)

    context = await context_of(api, path, max_tokens=110)

    assert (context["summary"], context["from_seq"]) == (None, 3)
    assert context["unsummarized"] == {"from_seq": 1, "to_seq": 2}


async def test_a_summary_stands_behind_the_instructions(api):
    path = await start(
        api,
        {"role": "system", "content": "Be kind."},
        user(WORDS),
        {"role": "developer", "content": "Be brief."},
        user("last"),
    )
    await summarize(api, path, 2, 2, "Words.")

    context = await context_of(api, path, max_tokens=60, format="openai-responses")

    said = [(item["role"], item["content"]) for item in context["request"]["input"]]
    assert said == [
        ("system", "Be kind."),
        ("developer", "Be brief."),
        ("user", "Summary of the earlier conversation:\n\nWords."),
        ("user", "last"),
    ]
    assert context["unsummarized"] is None


@pytest.mark.parametrize("part", ["context", "summaries"])
async def test_a_conversation_that_is_not_there_has_none(api, part):
    path = await start(api, user())
    assert (await api.delete(path)).status_code == 204

    for gone in (path, f"/conversations/conv_{'0' * 32}", "/conversations/x"):
        answer = await api.get(f"{gone}/{part}")
        assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")
    for gone in (path, "/conversations/x"):
        assert (await summarize(api, gone, 1, 1, status=404))["code"] == "conversation_not_found"
