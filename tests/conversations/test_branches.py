"""Forks, edits and the tree: histories that begin alike."""

from uuid import UUID

import pytest
from sqlalchemy import text

from conversations.service import branches as service
from tenants.db.unit_of_work import write_session


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    return await make_tenant()


def user(content="Hi", **more):
    return {"role": "user", "content": content, **more}


def calling(*call_ids, content=None, **more):
    calls = [{"call_id": each, "name": "look_up", "arguments": {"of": each}} for each in call_ids]
    return {"role": "assistant", "content": content, "tool_calls": calls, **more}


def output(call_id, content="found", **more):
    return {"role": "tool", "call_id": call_id, "content": content, **more}


async def start(api, *messages, **more):
    answer = await api.post("/conversations", json={"messages": messages, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def fork(api, conversation, at_seq, status=201, **more):
    path = f"/conversations/{conversation['id']}/forks"
    answer = await api.post(path, json={"at_seq": at_seq, **more})
    assert answer.status_code == status, answer.text
    return answer.json()


async def edit(api, conversation, message, status=201, **body):
    path = f"/conversations/{conversation['id']}/messages/{message['id']}/edit"
    answer = await api.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def read(api, conversation, part="", **query):
    answer = await api.get(f"/conversations/{conversation['id']}{part}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def log_of(api, conversation):
    return (await read(api, conversation, "/messages", limit=100))["data"]


def without_ids(messages):
    """What a copy has in common with its original."""
    calls = ("id", "output_message_id")
    return [
        {
            **{
                key: value for key, value in message.items() if key not in ("id", "conversation_id")
            },
            "tool_calls": [
                {key: value for key, value in call.items() if key not in calls}
                for call in message["tool_calls"]
            ],
        }
        for message in messages
    ]


TALK = [
    {"role": "system", "content": "Be kind.", "token_count": 1},
    user("Where?", token_count=10),
    calling("a", "b", token_count=100),
    output("b", token_count=1000),
    output("a", "late", token_count=10_000),
    user([{"type": "text", "text": "Thanks"}]),
]


# Forks


async def test_a_fork_has_the_history_up_to_a_position(api):
    original = await start(api, *TALK, title="Oslo", user_id="u", agent_id="g", metadata={"a": 1})

    forked = await fork(api, original, 5)

    assert (forked["parent_id"], forked["fork_seq"]) == (original["id"], 5)
    assert (forked["last_seq"], forked["message_count"], forked["version"]) == (5, 5, 1)
    assert (forked["token_count"], forked["preview"]) == (11_111, "late")
    for name in ("title", "user_id", "agent_id", "metadata", "status"):
        assert forked[name] == original[name]
    assert forked == await read(api, forked)
    before, after = await log_of(api, original), await log_of(api, forked)
    assert without_ids(after) == without_ids(before[:5])
    assert {message["conversation_id"] for message in after} == {forked["id"]}
    assert not {message["id"] for message in after} & {message["id"] for message in before}


async def test_a_forks_calls_point_at_its_own_outputs(api):
    original = await start(api, *TALK)

    log = await log_of(api, await fork(api, original, 6))

    ids = {message["call_id"]: message["id"] for message in log if message["role"] == "tool"}
    (calls,) = [message["tool_calls"] for message in log if message["tool_calls"]]
    assert [(call["call_id"], call["output_message_id"]) for call in calls] == [
        ("a", ids["a"]),
        ("b", ids["b"]),
    ]


async def test_ids_of_copies_are_of_this_version_and_in_order(api):
    original = await start(api, *(user(str(number)) for number in range(20)))

    forked = await fork(api, original, 20)

    ids = [UUID(message["id"].removeprefix("msg_")) for message in await log_of(api, forked)]
    assert ids == sorted(ids)
    assert {(each.version, each.variant) for each in ids} == {(7, UUID(int=2**63).variant)}


async def test_a_fork_goes_its_own_way(api):
    original = await start(api, user("one"), user("two"))
    forked = await fork(api, original, 1)

    for conversation, content in ((original, "three"), (forked, "other")):
        path = f"/conversations/{conversation['id']}/messages"
        assert (await api.post(path, json=user(content))).status_code == 201

    assert [each["content"] for each in await log_of(api, original)] == ["one", "two", "three"]
    assert [each["content"] for each in await log_of(api, forked)] == ["one", "other"]
    assert (await read(api, original))["last_seq"] == 3


async def test_a_fork_may_have_details_of_its_own(api):
    original = await start(api, user(), title="Oslo", user_id="u", metadata={"a": 1})

    own = {"title": "Bergen", "user_id": "v", "metadata": {}}
    assert (await fork(api, original, 1, **own)).items() >= own.items()
    none = {"title": None, "user_id": None}
    assert (await fork(api, original, 1, **none)).items() >= none.items()


async def test_a_fork_at_the_beginning_has_no_message(api):
    original = await start(api, user("one"))

    forked = await fork(api, original, 0)

    assert (forked["last_seq"], forked["message_count"], forked["preview"]) == (0, 0, None)
    assert (forked["fork_seq"], await log_of(api, forked)) == (0, [])
    appended = await api.post(f"/conversations/{forked['id']}/messages", json=user())
    assert appended.json()["seq"] == 1


async def test_a_call_whose_output_lies_beyond_is_open_again(api):
    original = await start(api, *TALK)

    forked = await fork(api, original, 4)

    waiting = await read(api, forked, "/tool-calls", open="true")
    assert [(call["call_id"], call["status"]) for call in waiting["data"]] == [("a", "requested")]
    path = f"/conversations/{forked['id']}/tool-calls/a/result"
    assert (await api.post(path, json={"output": "otherwise"})).status_code == 200
    assert [m["content"] for m in await log_of(api, forked)][-1] == "otherwise"
    assert [call["status"] for m in await log_of(api, original) for call in m["tool_calls"]] == [
        "succeeded",
        "succeeded",
    ]


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ("status = 'failed', error = 'no', attempts = 3", "requested"),
        ("status = 'denied', decided_at = now(), decided_by = 'x'", "awaiting_approval"),
        ("status = 'succeeded', decided_at = now(), decided_by = 'x'", "awaiting_approval"),
    ],
)
async def test_a_call_that_is_open_again_begins_anew(api, tenant, columns, status):
    original = await start(api, calling("a"), output("a"))
    await change(tenant, "tool_calls", original, columns)

    forked = await fork(api, original, 1)

    row = await find(tenant, "tool_calls", forked)
    assert (row["status"], row["output_message_id"], row["attempts"]) == (status, None, 0)
    assert {row[name] for name in ("error", "decided_at", "decided_by", "reason", "deadline")} == {
        None
    }


@pytest.mark.parametrize("needs_approval", [True, False])
async def test_a_call_that_ended_undecided_needs_approval_in_the_fork_as_before(
    api, needs_approval
):
    call = {"call_id": "a", "name": "look_up", "requires_approval": needs_approval}
    original = await start(api, {"role": "assistant", "tool_calls": [call]})
    path = f"/conversations/{original['id']}/tool-calls/a"
    assert (await api.post(f"{path}/cancel", json={})).status_code == 200

    forked = await fork(api, original, 1)

    answer = await api.post(f"/conversations/{forked['id']}/tool-calls/a/start")
    assert answer.status_code == (409 if needs_approval else 200)


@pytest.mark.parametrize(
    ("columns", "status"),
    [
        ("status = 'running', deadline = now()", "requested"),
        ("status = 'awaiting_approval'", "awaiting_approval"),
        ("status = 'cancelled'", "cancelled"),
        ("status = 'denied', decided_at = now()", "denied"),
    ],
)
async def test_a_call_without_output_waits_in_the_fork_if_it_did(api, tenant, columns, status):
    original = await start(api, calling("a"))
    await change(tenant, "tool_calls", original, columns)

    row = await find(tenant, "tool_calls", await fork(api, original, 1))

    assert (row["status"], row["deadline"]) == (status, None)


async def test_what_was_deleted_leaves_nothing_but_its_place(api, tenant):
    original = await start(api, user("one", token_count=1), user("secret", token_count=2))
    await change(tenant, "messages", original, "deleted_at = now()", "seq = 2")

    forked = await fork(api, original, 2)

    assert [message["seq"] for message in await log_of(api, forked)] == [1]
    assert (forked["last_seq"], forked["message_count"], forked["token_count"]) == (2, 1, 1)
    assert forked["preview"] == "one"
    row = await find(tenant, "messages", forked, "seq = 2")
    assert row["deleted_at"] is not None
    assert (row["text"], row["content"]) == (None, None)


async def test_an_output_whose_call_was_deleted_stays_one_in_the_fork(api, tenant):
    original = await start(api, calling("a", "b"), output("a"), output("b"))
    await change(tenant, "tool_calls", original, "deleted_at = now()", "call_id = 'a'")

    forked = await fork(api, original, 3)

    row = await find(tenant, "tool_calls", forked, "call_id = 'a'")
    assert (row["name"], row["arguments"], row["status"]) == ("", {}, "succeeded")
    assert row["deleted_at"] is not None
    assert forked["tool_call_count"] == 1
    findings = (await read(api, forked, "/check"))["findings"]
    assert [each["kind"] for each in findings] == []
    assert len(await log_of(api, forked)) == 3


async def test_nothing_is_wrong_in_a_fork_wherever_it_grows(api, tenant):
    original = await start(api, *TALK, calling("c", "d", "e", content="x"), output("d"), user())
    for call_id, verb in (("c", "cancel"), ("e", "result")):
        path = f"/conversations/{original['id']}/tool-calls/{call_id}/{verb}"
        assert (await api.post(path, json={"output": "e"} if verb == "result" else {})).is_success
    for table, columns, which in (
        ("tool_calls", "deleted_at = now()", "call_id = 'd'"),
        ("messages", "deleted_at = now()", "seq IN (3, 9)"),
    ):
        await change(tenant, table, original, columns, which)
    last_seq = (await read(api, original))["last_seq"]

    for at_seq in range(last_seq + 1):
        forked = await fork(api, original, at_seq)
        assert (await read(api, forked, "/check"))["findings"] == []
        for shape in ("native", "openai-chat", "openai-responses", "anthropic-messages"):
            await read(api, forked, "/context", format=shape)
    assert at_seq == 11


async def test_a_deleted_call_leaves_nothing_but_its_place(api, tenant):
    original = await start(api, calling("a", content="x"), output("a"))
    await change(tenant, "tool_calls", original, "deleted_at = now(), external_id = 'e'")

    forked = await fork(api, original, 1)

    assert [message["tool_calls"] for message in await log_of(api, forked)] == [[]]
    row = await find(tenant, "tool_calls", forked)
    assert (row["name"], row["arguments"], row["external_id"]) == ("", {}, None)
    assert (row["call_id"], row["status"]) == ("a", "succeeded")
    assert row["deleted_at"] is not None


async def test_summaries_of_what_is_copied_come_along(api):
    original = await start(api, *(user(str(number)) for number in range(4)))
    for to_seq in (2, 3):
        body = {"from_seq": 1, "to_seq": to_seq, "text": f"up to {to_seq}"}
        await api.post(f"/conversations/{original['id']}/summaries", json=body)

    forked = await fork(api, original, 2)

    (summary,) = (await read(api, forked, "/summaries"))["data"]
    assert (summary["text"], summary["conversation_id"]) == ("up to 2", forked["id"])
    assert len((await read(api, original, "/summaries"))["data"]) == 2


async def test_every_column_is_copied(api, tenant):
    original = await start(api, calling("a", content="x", model="m"), output("a"))
    await change(
        tenant,
        "messages",
        original,
        "language = 'de', input_tokens = 1, output_tokens = 2, cached_tokens = 3, cost = 0.25, "
        "reasoning_tokens = 4, external_id = 'e' || seq, extra = '{\"k\": 1}', kind = 'odd'",
    )
    await change(tenant, "tool_calls", original, "external_id = 'e', extra = '{\"k\": 1}'")

    forked = await fork(api, original, 2)

    for table, own in (
        ("messages", {"id", "conversation_id"}),
        ("tool_calls", {"id", "conversation_id", "message_id", "output_message_id"}),
    ):
        before, after = await find(tenant, table, original), await find(tenant, table, forked)
        differing = {name for name in before if before[name] != after[name]}
        assert differing == own
    head = await find(tenant, "conversations", forked, key="id")
    assert (head["input_tokens"], head["output_tokens"], head["cached_tokens"]) == (2, 4, 6)
    assert (head["reasoning_tokens"], float(head["cost"]), head["tool_call_count"]) == (8, 0.5, 1)


async def test_a_fork_is_kept_no_longer_than_its_original(api, tenant):
    original = await start(api, user())
    columns = "retain_until = '2040-01-01Z', legal_hold = true, read_seq = 1, language = 'nl'"
    await change(tenant, "conversations", original, columns, key="id")
    before = await find(tenant, "conversations", original, key="id")

    for at_seq in (0, 1):
        row = await find(tenant, "conversations", await fork(api, original, at_seq), key="id")
        assert row["retain_until"] == before["retain_until"]
        assert (row["legal_hold"], row["language"], row["read_seq"]) == (False, "nl", at_seq)


async def test_an_archived_conversation_can_be_forked(api):
    original = await start(api, user())
    await api.post(f"/conversations/{original['id']}/archive")

    assert (await fork(api, original, 1))["status"] == "active"


async def test_a_fork_beyond_the_last_message_is_refused(api):
    original = await start(api, user())

    problem = await fork(api, original, 2, status=422)

    assert problem["code"] == "position_out_of_range"
    assert problem["errors"][0]["field"] == "at_seq"


async def test_a_fork_of_too_many_messages_is_refused(api, monkeypatch):
    settings = service.get_settings().model_copy(update={"max_fork_messages": 1})
    monkeypatch.setattr(service, "get_settings", lambda: settings)
    original = await start(api, user(), user())

    assert (await fork(api, original, 2, status=422))["code"] == "fork_too_large"
    assert (await fork(api, original, 3, status=422))["code"] == "position_out_of_range"
    assert (await fork(api, original, 1))["last_seq"] == 1


@pytest.mark.parametrize("body", [{}, {"at_seq": -1}, {"at_seq": "1"}, {"at_seq": 2**63}])
async def test_a_fork_of_other_values_is_refused(api, body):
    original = await start(api, user())

    answer = await api.post(f"/conversations/{original['id']}/forks", json=body)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


# Edits


async def test_an_edited_message_stands_in_a_branch(api):
    original = await start(api, user("one"), user("two"), user("three"), title="T")

    branch = await edit(api, original, original["messages"][1], content="zwei", title="U")

    (message,) = branch.pop("messages")
    assert (message["seq"], message["role"], message["content"]) == (2, "user", "zwei")
    assert (branch["parent_id"], branch["fork_seq"], branch["title"]) == (original["id"], 1, "U")
    assert branch == await read(api, branch)
    assert [each["content"] for each in await log_of(api, branch)] == ["one", "zwei"]
    assert (await log_of(api, original)) == original["messages"]


async def test_the_first_message_can_be_edited(api):
    original = await start(api, user("one"))

    branch = await edit(api, original, original["messages"][0], content="eins", token_count=3)

    assert (branch["fork_seq"], branch["token_count"]) == (0, 3)


async def test_an_edited_output_answers_the_same_call(api):
    original = await start(api, *TALK)

    branch = await edit(api, original, original["messages"][4], content="corrected")

    (message,) = branch["messages"]
    assert (message["role"], message["call_id"], message["seq"]) == ("tool", "a", 5)
    waiting = await read(api, branch, "/tool-calls", open="true")
    assert waiting["data"] == []


async def test_an_edited_output_needs_no_approval_of_its_call(api, tenant):
    original = await start(api, calling("a"), output("a"))
    await change(tenant, "tool_calls", original, "decided_at = now(), decided_by = 'x'")

    branch = await edit(api, original, original["messages"][1], content="corrected")

    row = await find(tenant, "tool_calls", branch)
    assert (row["status"], row["decided_at"]) == ("succeeded", None)


async def test_an_edited_assistants_message_may_call(api):
    original = await start(api, user(), calling("a"), output("a"))
    calls = [{"call_id": "z", "name": "other", "arguments": {}}]

    branch = await edit(api, original, original["messages"][1], tool_calls=calls, model="m")

    (message,) = branch["messages"]
    assert [call["call_id"] for call in message["tool_calls"]] == ["z"]
    assert (message["content"], message["model"]) == (None, "m")


async def test_an_edit_of_other_values_is_refused_and_leaves_nothing(api):
    original = await start(api, user("one"))
    (message,) = original["messages"]
    calls = [{"call_id": "z", "name": "other"}]

    for body in ({}, {"content": None}, {"content": "x", "role": "assistant"}, {"content": 1}):
        assert (await edit(api, original, message, status=422, **body))["code"] == "invalid_input"
    problem = await edit(api, original, message, status=422, tool_calls=calls)
    assert problem["errors"][0]["field"] == "tool_calls"
    assert (await read(api, original, "/branches"))["data"] == []


async def test_a_message_of_elsewhere_cant_be_edited(api):
    original, other = await start(api, user()), await start(api, user())

    problem = await edit(api, original, other["messages"][0], status=404, content="x")

    assert problem["code"] == "message_not_found"


# The tree


def places(branches):
    return [(branch["id"], branch["fork_seq"]) for branch in branches]


async def test_the_tree_shows_the_way_and_what_branches_off(api):
    root = await start(api, *(user(str(number)) for number in range(5)), title="root")
    early, late = await fork(api, root, 2), await fork(api, root, 4, title="late")
    leaf = await fork(api, late, 3, title="leaf")

    assert places((await read(api, root, "/branches"))["path"]) == [(root["id"], None)]
    page = await read(api, root, "/branches", limit=1)
    assert places(page["data"]) == [(early["id"], 2)]
    rest = await read(api, root, "/branches", limit=1, after=page["next_cursor"])
    assert places(rest["data"]) == [(late["id"], 4)]
    assert rest["has_more"] is False
    tree = await read(api, leaf, "/branches")
    assert places(tree["path"]) == [(root["id"], None), (late["id"], 4), (leaf["id"], 3)]
    assert [branch["title"] for branch in tree["path"]] == ["root", "late", "leaf"]
    assert tree["data"] == []


async def test_a_deleted_conversation_is_hidden_and_the_way_past_it_stays(api):
    root = await start(api, *(user(str(number)) for number in range(5)))
    middle = await fork(api, root, 3)
    shallow, deep = await fork(api, middle, 1), await fork(api, middle, 3)
    await api.post(f"/conversations/{deep['id']}/messages", json=user())
    leaf = await fork(api, deep, 4)
    for gone in (middle, deep):
        assert (await api.delete(f"/conversations/{gone['id']}")).status_code == 204

    assert places((await read(api, root, "/branches"))["data"]) == [
        (shallow["id"], 1),
        (leaf["id"], 3),
    ]
    assert places((await read(api, leaf, "/branches"))["path"]) == [
        (root["id"], None),
        (leaf["id"], 3),
    ]
    await api.delete(f"/conversations/{root['id']}")
    assert places((await read(api, leaf, "/branches"))["path"]) == [(leaf["id"], None)]


async def test_what_branched_off_from_an_erased_conversation_hangs_on_the_one_before(api):
    root = await start(api, *(user(str(number)) for number in range(5)))
    middle = await fork(api, root, 2)
    for _ in range(3):
        await api.post(f"/conversations/{middle['id']}/messages", json=user())
    leaf, early = await fork(api, middle, 4), await fork(api, middle, 1)

    assert (await api.post(f"/conversations/{middle['id']}/erase")).is_success

    assert places((await read(api, root, "/branches"))["data"]) == [
        (early["id"], 1),
        (leaf["id"], 2),
    ]
    assert (await read(api, leaf))["parent_id"] == root["id"]
    assert len(await log_of(api, leaf)) == 4
    assert (await api.post(f"/conversations/{root['id']}/erase")).is_success
    kept = await read(api, leaf)
    assert (kept["parent_id"], kept["fork_seq"]) == (None, 2)
    assert places((await read(api, leaf, "/branches"))["path"]) == [(leaf["id"], None)]


@pytest.mark.parametrize("conversation_id", ["gone", f"conv_{'0' * 32}", "x"])
async def test_a_conversation_that_is_not_there_has_no_branches(api, conversation_id):
    original = await start(api, user())
    if conversation_id == "gone":
        conversation_id = original["id"]
        await api.delete(f"/conversations/{conversation_id}")
    path = f"/conversations/{conversation_id}"

    answers = [
        await api.get(f"{path}/branches"),
        await api.post(f"{path}/forks", json={"at_seq": 0}),
        await api.post(f"{path}/forks", json={"at_seq": 10**9}),
    ]

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")
    message_path = f"{path}/messages/{original['messages'][0]['id']}/edit"
    assert (await api.post(message_path, json={"content": "x"})).status_code == 404


async def change(tenant, table, conversation, columns, where="true", key="conversation_id"):
    """Set columns as nobody's request does."""
    statement = text(f"UPDATE {table} SET {columns} WHERE {key} = :id AND {where}")
    async with write_session(tenant.ref) as session:
        await session.execute(statement, {"id": key_of(conversation)})


async def find(tenant, table, conversation, where="true", key="conversation_id"):
    """The first row of a conversation, as a dictionary."""
    statement = text(f"SELECT * FROM {table} WHERE {key} = :id AND {where} ORDER BY created_at, id")
    async with write_session(tenant.ref) as session:
        row = (await session.execute(statement, {"id": key_of(conversation)})).first()
        return dict(row._mapping)


def key_of(conversation):
    return UUID(conversation["id"].removeprefix("conv_"))
