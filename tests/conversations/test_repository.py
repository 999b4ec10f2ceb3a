import pytest

from tests.conversations.statements import counted_statements

CALLS = [{"call_id": f"c{number}", "name": "n", "arguments": {}} for number in range(3)]


@pytest.fixture
async def log(api):
    """The path of a conversation of a hundred messages with three tool calls each."""
    path = f"/conversations/{(await api.post('/conversations', json={})).json()['id']}"
    for start in (0, 50):
        messages = [
            {
                "role": "assistant",
                "tool_calls": [
                    {**call, "call_id": f"{call['call_id']}-{number}"} for call in CALLS
                ],
            }
            for number in range(start, start + 50)
        ]
        answer = await api.post(f"{path}/messages", json={"messages": messages})
        assert answer.status_code == 201
    return path


@pytest.mark.parametrize("limit", [1, 100])
@pytest.mark.parametrize("part", ["messages", "tool-calls"])
async def test_a_page_is_one_statement_whatever_its_size(api, log, part, limit):
    with counted_statements() as statements:
        page = (await api.get(f"{log}/{part}", params={"limit": limit})).json()

    assert len(page["data"]) == limit
    assert len(statements) == 1, statements


@pytest.mark.parametrize("limit", [1, 30])
async def test_a_page_of_conversations_is_one_statement_whatever_its_size(api, limit):
    for _ in range(30):
        await api.post("/conversations", json={"messages": [{"role": "user", "content": "x"}]})

    with counted_statements() as statements:
        page = (await api.get("/conversations", params={"limit": limit})).json()

    assert len(page["data"]) == limit
    assert len(statements) == 1, statements


@pytest.mark.parametrize("size", [1, 100])
async def test_an_append_is_one_statement_whatever_its_size(api, size):
    path = f"/conversations/{(await api.post('/conversations', json={})).json()['id']}"
    messages = [
        {
            "role": "assistant",
            "tool_calls": [{**call, "call_id": f"{call['call_id']}-{number}"} for call in CALLS],
        }
        for number in range(size)
    ]

    with counted_statements() as statements:
        answer = await api.post(f"{path}/messages", json={"messages": messages})

    assert answer.status_code == 201
    assert len(statements) == 1, statements


async def test_one_message_costs_no_more_statements_than_it_must(api, log):
    message = (await api.get(f"{log}/messages", params={"limit": 1})).json()["data"][0]
    budgets = [
        ("GET", log, None, 1),
        ("GET", f"{log}/messages/{message['id']}", None, 1),
        ("POST", f"{log}/messages", {"role": "user", "content": "x"}, 1),
        ("POST", f"{log}/tool-calls/c0-0/result", {"output": "x"}, 2),
        ("POST", f"{log}/tool-calls/c0-0/result", {"output": "x"}, 1),
        ("PATCH", log, {"title": "x"}, 1),
        ("POST", f"{log}/archive", None, 1),
        ("DELETE", log, None, 1),
    ]
    for method, path, body, budget in budgets:
        with counted_statements() as statements:
            answer = await api.request(method, path, json=body)
        assert answer.is_success
        assert len(statements) == budget, (method, path, statements)


async def test_appends_of_every_size_are_the_same_few_statements_to_the_server(api, log):
    """Distinct texts would each be parsed and planned anew."""
    path = f"/conversations/{(await api.post('/conversations', json={})).json()['id']}/messages"
    user = {"role": "user", "content": "x"}

    with counted_statements() as statements:
        for size in (1, 2, 7, 50):
            await api.post(path, json={"messages": [user] * size})
        for size in (1, 2, 3):
            calls = [{**call, "call_id": f"{call['call_id']}-{size}"} for call in CALLS[:size]]
            await api.post(path, json={"role": "assistant", "tool_calls": calls})

    assert len(statements) == 7
    assert len(set(statements)) == 2
