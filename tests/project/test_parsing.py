import random

import orjson
import pytest

from tests.tenants.test_strict_json import MALFORMED, REFUSED

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to conversations of their own."""
    return await make_tenant()


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
async def test_every_endpoint_answers_422_to_such_a_body(api, body):
    answer = await api.post(
        "/conversations", content=b'{"metadata": {"x": ' + body + b"}}", headers=JSON
    )

    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_input"


@pytest.mark.parametrize(
    "name", ["truncated object", "truncated text", "invalid UTF-8", "two documents", "form data"]
)
async def test_every_endpoint_answers_400_to_what_is_no_json(api, name):
    answer = await api.post("/conversations", content=MALFORMED[name], headers=JSON)

    assert answer.status_code == 400
    assert answer.json()["code"] == "malformed_json"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_empty_body_misses_its_fields(api):
    answer = await api.post("/conversations", content=b"", headers=JSON)

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "body", "reason": "Field required"}]


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"true"])
async def test_a_body_that_is_no_object_is_refused(api, body):
    for path in ("/conversations", "/conversations/conv_0/messages"):
        answer = await api.post(path, content=body, headers=JSON)

        assert answer.status_code == 422, answer.text


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x", ""],
)
async def test_a_body_of_another_type_is_refused(api, content_type):
    answer = await api.post("/conversations", content=b"{}", headers={"Content-Type": content_type})

    assert answer.status_code == 415
    assert answer.json()["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"],
)
async def test_every_way_of_writing_the_json_type_is_understood(api, content_type):
    answer = await api.post("/conversations", content=b"{}", headers={"Content-Type": content_type})

    assert answer.status_code == 201


async def test_numbers_at_the_edges_are_kept_exactly(api):
    metadata = {"high": 2**63 - 1, "low": -(2**63), "half": 0.5, "tiny": 5e-324, "digits": "9" * 40}

    answer = await api.post("/conversations", json={"metadata": metadata})

    stored = (await api.get(f"/conversations/{answer.json()['id']}")).json()
    assert stored["metadata"] == metadata


async def test_random_bodies_never_break_the_service(api):
    chance = random.Random(20)
    conversation = (await api.post("/conversations", json={})).json()["id"]
    path = f"/conversations/{conversation}"
    call = {"call_id": "c", "name": "n", "arguments": {"x": [1, None, 1.5, "é", True]}}
    part = {"type": "text", "text": "a"}
    sound = [
        ("POST", "/conversations", {"metadata": {"k": [{"v": 1e3}]}, "messages": []}),
        ("PATCH", path, {"title": None, "metadata": {"k": "v"}, "status": "active"}),
        ("POST", f"{path}/messages", {"role": "assistant", "content": "😀", "tool_calls": [call]}),
        ("POST", f"{path}/messages", {"messages": [{"role": "user", "content": [part]}] * 2}),
        ("POST", f"{path}/tool-calls/c/result", {"output": "x"}),
        ("POST", f"{path}/tool-calls/d/result", {"error": "x"}),
    ]
    pieces = [b"\\u0000", b"\\ud800", b"\xed\xa0\x80", b"\xff", b"\0", b"NaN", b"1e999", b"null"]
    pieces += [b"[" * 70, b"]", b"{", b"}", b'"', b"\\", b",", b":", b"9" * 25, b"-", b"[]", b"{}"]
    seen = set()

    for _ in range(300):
        method, target, content = chance.choice(sound)
        body = bytearray(orjson.dumps(content, option=orjson.OPT_INDENT_2))
        for _ in range(chance.randrange(4)):
            start = chance.randrange(len(body) + 1)
            end = start + chance.choice([0, 0, 1, 1, 5])
            body[start:end] = chance.choice([*pieces, bytes([chance.randrange(256)])])
        answer = await api.request(method, target, content=bytes(body), headers=JSON)
        assert answer.status_code < 500, (method, target, bytes(body), answer.text)
        seen.add(answer.status_code)

    # The fuzz is of use only while it reaches what lies behind the parser, too.
    assert seen == {200, 201, 400, 404, 409, 422}
