"""The package by itself: what it needs, how it is made, and its rules without a server."""

import importlib.util
import pickle
import subprocess
import sys
import tomllib

import httpx
import pytest
import tenantry_client
from tenantry_client import APIError, InvalidRequest, NotFound, PreconditionFailed, Tenantry
from tenantry_client._calls import make_path, pause_before, raise_for
from tenantry_client._events import EventParser

from project.dev.settings import ROOT

PACKAGE = ROOT / "clients" / "python"
HEAVY = {"django", "sqlalchemy", "orjson", "asyncpg", "agents", "openai", "langchain_core"}


def test_the_synchronous_client_is_made_from_the_asynchronous_one():
    spec = importlib.util.spec_from_file_location("generate_sync", PACKAGE / "generate_sync.py")
    generate_sync = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate_sync)
    made = generate_sync.make_files()
    there = {path: path.read_text() for path in (generate_sync.PACKAGE / "_sync").glob("*.py")}

    assert there == made, "run clients/python/generate_sync.py"
    assert not any("await" in text or "Async" in text for text in there.values())


def test_it_loads_nothing_of_the_service_and_nothing_optional():
    script = f"import sys, tenantry_client; print(sorted({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=PACKAGE / "src",
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "[]\n"


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["openai_agents", "langchain"])
def test_an_adapter_loads_nothing_of_the_service(adapter):
    script = (
        f"import sys, tenantry_client.{adapter}; "
        "print(sorted({'django', 'sqlalchemy', 'asyncpg', 'conversations'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        cwd=PACKAGE / "src",
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "[]\n"


def test_it_asks_for_httpx_and_pydantic_alone_and_names_one_version():
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    names = {requirement.partition(">")[0] for requirement in project["dependencies"]}
    assert names == {"httpx", "pydantic"}
    assert project["version"] == tenantry_client.__version__


def test_ids_stay_one_segment_of_a_path():
    assert make_path("/users/{}/erase", "a/b?c#d e") == "/users/a%2Fb%3Fc%23d%20e/erase"
    assert httpx.URL("http://h" + make_path("/users/{}/erase", "..")).path != "/erase"
    with pytest.raises(ValueError, match="empty"):
        make_path("/conversations/{}", "")


def test_it_waits_longer_each_time_or_as_long_as_it_is_asked_to():
    for attempt, longest in ((1, 0.25), (2, 0.5), (4, 2.0), (10, 8.0), (5000, 8.0)):
        assert longest / 2 <= pause_before(attempt) <= longest
    for asked, seconds in (("3", 3.0), ("900", 60.0), ("Thu, 01 Jan 2015 00:00:00 GMT", 0.0)):
        assert pause_before(1, httpx.Response(503, headers={"retry-after": asked})) == seconds
    for nonsense in ("soon", "nan", "-1", "inf", "Thu, 99 Jan 2015"):
        response = httpx.Response(503, headers={"retry-after": nonsense})
        assert 0.1 < pause_before(1, response) <= 0.25


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"errors": ["x"]}', '{"errors": "x"}'])
def test_whatever_a_proxy_answers_is_an_api_error(body):
    with pytest.raises(APIError) as refusal:
        raise_for(httpx.Response(418, text=body))
    assert (refusal.value.status, refusal.value.code) == (418, "unknown")


def test_errors_survive_being_pickled():
    problem = {"code": "seq_mismatch", "detail": "No.", "last_seq": 7}
    error = pickle.loads(pickle.dumps(PreconditionFailed(412, problem, "req-1")))  # noqa: S301
    assert (error.code, error.last_seq, error.request_id) == ("seq_mismatch", 7, "req-1")
    invalid = InvalidRequest(422, {"errors": [{"field": "role", "reason": "no"}]}, "")
    assert str(invalid).endswith("(role: no)")


def test_events_are_read_line_by_line():
    parser = EventParser("3")
    lines = ["event: message", "id: 4", 'data: {"a":', "data: 1}", "", ": heartbeat", ""]
    events = [event for line in lines if (event := parser.feed(line))]

    assert [(event.event, event.id, event.data) for event in events] == [("message", "4", {"a": 1})]
    parser.feed("retry: 2500")
    parser.feed("id: 5")  # Cut off before its end, so it never was.
    assert (parser.retry_seconds, parser.last_id) == (2.5, "4")


def test_a_key_goes_to_no_other_host():
    """A redirect is an error, not followed with the key."""

    def redirect(request):
        assert request.url.host == "one.example"
        return httpx.Response(307, headers={"location": "http://two.example/"})

    with (
        httpx.Client(transport=httpx.MockTransport(redirect)) as http,
        Tenantry("http://one.example", "tnt_x", http_client=http) as client,
        pytest.raises(APIError),
    ):
        client.conversations.get("conv_1")


def serve(*answers):
    """A client of a service that answers so, and the requests that it gets."""
    requests, rest = [], list(answers)

    def answer(request):
        requests.append(request)
        return rest.pop(0)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Tenantry("http://service", "tnt_x", http_client=http, max_retries=2), requests


def problem(status, code):
    headers = {"content-type": "application/problem+json", "retry-after": "0"}
    return httpx.Response(status, json={"status": status, "code": code}, headers=headers)


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "too_many_requests"), (503, "commit_in_doubt"), (409, "idempotency_key_in_use")],
)
def test_what_may_go_better_is_sent_again_under_the_same_key(status, code):
    client, requests = serve(problem(status, code), problem(status, code), httpx.Response(204))
    client.conversations.send_draft("conv_1", "draft_1", "Hi")

    assert len({request.headers["idempotency-key"] for request in requests}) == 1
    assert [request.content for request in requests] == [b'{"delta": "Hi"}'] * 3
    client, others = serve(httpx.Response(204))
    client.conversations.send_draft("conv_1", "draft_1", "Hi")
    assert others[0].headers["idempotency-key"] != requests[0].headers["idempotency-key"]


@pytest.mark.parametrize(
    ("status", "code"), [(409, "call_id_taken"), (422, "invalid_input"), (507, "storage_full")]
)
def test_what_can_go_no_better_is_not_sent_again(status, code):
    client, requests = serve(problem(status, code))
    with pytest.raises(APIError) as refusal:
        client.conversations.send_draft("conv_1", "draft_1", "Hi")
    assert (refusal.value.code, len(requests)) == (code, 1)


def test_a_deletion_that_was_done_before_its_answer_got_lost_is_no_error():
    client, _ = serve(problem(503, "commit_in_doubt"), problem(404, "conversation_not_found"))
    client.conversations.delete("conv_1")
    client, _ = serve(problem(404, "conversation_not_found"))
    with pytest.raises(NotFound):
        client.conversations.delete("conv_1")
