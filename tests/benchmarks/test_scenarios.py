"""What the load driver sends."""

from itertools import islice

import orjson
import pytest

from benchmarks.compare import PEERS
from benchmarks.scenarios import SCENARIOS, Run, is_append, list_requests

LOGS = [("key", f"conv_{number}") for number in range(4)]
TARGETS = {"log": LOGS, "page": [("key", "conv_page")], "library": [("other", "")]}


def requests(scenario, client=0, first_number=0, count=10, **changes):
    given = {"connections": 4, "seconds": 1.0, **changes}
    run = Run(4711, scenario, TARGETS, first_number, **given)
    return list(islice(list_requests(run, client), count))


def parse(request):
    """The request line, the headers by their names in lower case, and the body."""
    head, _, body = request[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    return line, dict(header.lower().split(": ", 1) for header in headers), body


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_request_is_whole_and_names_its_key(scenario):
    for request in requests(scenario):
        line, headers, body = parse(request)
        method, path, version = line.split(" ")
        assert (method, version) == ("POST" if is_append(request) else "GET", "HTTP/1.1")
        assert path.startswith("/api/v1/")
        assert headers["authorization"] in {"bearer key", "bearer other"}
        assert int(headers.get("content-length", 0)) == len(body)


@pytest.mark.parametrize("scenario", ["append", "append-keyed", "append-anywhere"])
def test_no_two_appends_have_a_call_in_common(scenario):
    sent = [
        request
        for client in range(4)
        for first_number in (0, 1_000_000)
        for request in requests(scenario, client, first_number)
    ]
    ids = [
        call["call_id"]
        for request in sent
        for call in orjson.loads(parse(request)[2])["tool_calls"]
    ]
    assert len(ids) == len(set(ids)) == 2 * 4 * 2 * 10


def test_each_connection_appends_to_a_conversation_of_its_own():
    paths = [{parse(each)[0] for each in requests("append", client)} for client in range(4)]
    assert [len(each) for each in paths] == [1, 1, 1, 1]
    assert len(set.union(*paths)) == 4


def test_no_two_keyed_appends_have_a_key_in_common():
    keys = [
        parse(request)[1]["idempotency-key"]
        for client in range(4)
        for request in requests("append-keyed", client)
    ]
    assert len(keys) == len(set(keys))


def test_a_mix_has_six_reads_three_appends_and_a_list_in_ten():
    for client in range(4):
        lines = [parse(request)[0] for request in requests("mixed", client)]
        assert sum(line.startswith("POST") for line in lines) == 3
        assert sum("conversations?limit" in line for line in lines) == 1
        assert sum("conv_page" in line for line in lines) == 6


def test_a_page_can_be_asked_for_from_its_end():
    line, _, _ = parse(requests("read", query="&order=desc")[0])
    assert line == "GET /api/v1/conversations/conv_page/messages?limit=50&order=desc HTTP/1.1"


def test_what_is_compared_can_be_sent():
    assert set(PEERS) <= set(SCENARIOS)
