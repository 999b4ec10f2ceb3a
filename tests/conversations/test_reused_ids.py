"""A `call_id` that is used again after its call was deleted, while the output of that one stays."""

import pytest

from tenants.testing import connect
from tests.conversations.test_openai import append, call, native, output, say
from tests.conversations.test_openai import read as read_items

FORMATS = ["native", "openai-chat", "openai-responses", "anthropic-messages"]
NO_RESULT = "The tool call has no result."


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    return await make_tenant()


async def reuse(wire, api, path, **more):
    """A conversation whose third message answered a call that is gone; its id is another call's.

    more: of the output, which is appended natively.
    """
    first = await append(wire, path, say(), call("c"))
    message = {"role": "tool", "call_id": "c", "content": "old", **more}
    assert (await api.post(f"{native(path)}/messages", json=message)).status_code == 201
    kept = (await read_items(wire, path))[2]
    assert (await wire.delete(f"{path}/{first[1]['id']}")).status_code == 200
    return [first[0], kept, *await append(wire, path, call("c"))]


async def outputs_in_contexts(api, conversation):
    """What models read of outputs, by format; each must stand behind its call, the last item."""
    found = {}
    for kind in FORMATS:
        query = {"format": kind, "max_tokens": 1000}
        answer = await api.get(f"{conversation}/context", params=query)
        assert answer.status_code == 200, answer.text
        request = answer.json()["request"]
        asked, answered = (request.get("messages") or request["input"])[-2:]
        if kind == "openai-responses":
            call_id, output_of, content = asked["call_id"], answered["call_id"], answered["output"]
        elif kind == "anthropic-messages":
            (used,), (result,) = asked["content"], answered["content"]
            call_id, output_of = used["id"], result["tool_use_id"]
            content = result["content"][0]["text"]
        else:
            native = kind == "native"
            call_id = asked["tool_calls"][0]["call_id" if native else "id"]
            output_of = answered["call_id" if native else "tool_call_id"]
            content = answered["content"]
        assert call_id == output_of == "c"
        found[kind] = content
    return found


async def mend(api, conversation):
    check = (await api.get(f"{conversation}/check")).json()
    assert check == {"ok": True, "findings": []}
    return (await api.post(f"{conversation}/repair")).json()["mended"]


async def test_an_output_that_stays_does_not_answer_another_call_of_the_same_id(wire, api, path):
    items = await reuse(wire, api, path)

    assert [item.get("call_id") for item in items] == [None, "c", "c"]
    assert await read_items(wire, path) == items
    assert (await wire.get(f"{path}/{items[1]['id']}")).json() == items[1]
    assert await outputs_in_contexts(api, native(path)) == dict.fromkeys(FORMATS, NO_RESULT)
    assert await mend(api, native(path)) == []

    items += await append(wire, path, output("c", "new"))
    assert await outputs_in_contexts(api, native(path)) == dict.fromkeys(FORMATS, "new")
    assert await mend(api, native(path)) == []
    assert await read_items(wire, path) == items


async def test_it_can_be_done_again_and_again(wire, api, path):
    items = await append(wire, path, say())
    for number in range(3):
        asked, answered = await append(wire, path, call("c"), output("c", f"{number}"))
        await wire.delete(f"{path}/{asked['id']}")
        items.append(answered)

    assert await read_items(wire, path) == items
    assert await mend(api, native(path)) == []
    items += await append(wire, path, call("c"), output("c", "last"))
    assert await outputs_in_contexts(api, native(path)) == dict.fromkeys(FORMATS, "last")
    assert await read_items(wire, path) == items


async def test_an_output_that_is_repeated_is_known(wire, api, path):
    await reuse(wire, api, path, external_id="o")

    message = {"role": "tool", "call_id": "c", "content": "old", "external_id": "o"}
    repeated = await api.post(f"{native(path)}/messages", json=message)

    assert (repeated.status_code, repeated.json()["seq"]) == (201, 3)
    assert len(await read_items(wire, path)) == 3


async def test_such_a_conversation_is_copied_as_it_is(wire, api, make_tenant, application, path):
    """As a fork, and as an import elsewhere."""
    items = await reuse(wire, api, path)
    sent = [{**item, "id": None} for item in items]

    fork = (await api.post(f"{native(path)}/forks", json={"at_seq": 4})).json()
    lines = (await api.get(f"{native(path)}/export")).content
    async with connect(application, tenant=await make_tenant()) as other:
        answer = await other.post(
            "/api/v1/imports",
            content=lines,
            headers={"Content-Type": "application/x-ndjson"},
        )
        report = answer.json()
        assert report["skipped"] == 0, report
        (imported,) = (await other.get("/api/v1/conversations")).json()["data"]
        there = await other.get(
            f"/openai/v1/conversations/{imported['id']}/items", params={"order": "asc"}
        )
        check = (await other.get(f"/api/v1/conversations/{imported['id']}/check")).json()

    assert check["ok"], check
    assert [{**item, "id": None} for item in there.json()["data"]] == sent
    copied = await read_items(wire, f"/conversations/{fork['id']}/items")
    assert [{**item, "id": None} for item in copied] == sent
    assert await outputs_in_contexts(api, f"/conversations/{fork['id']}") == dict.fromkeys(
        FORMATS, NO_RESULT
    )
    assert await mend(api, f"/conversations/{fork['id']}") == []


async def test_editing_an_output_whose_call_is_gone_finds_no_call(wire, api, path):
    await reuse(wire, api, path)
    (_, kept, _) = (await api.get(f"{native(path)}/messages")).json()["data"]

    edited = await api.post(
        f"{native(path)}/messages/{kept['id']}/edit", json={"content": "edited"}
    )

    assert (edited.status_code, edited.json()["code"]) == (422, "unknown_tool_call")
