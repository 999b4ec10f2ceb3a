"""Round trips to the database, counted by a proxy: what each endpoint may cost, begin and commit
included, once statements are prepared. They cost more than anything else that a request does."""

import asyncio
import contextlib
import secrets
import tempfile
from collections import Counter
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from conversations.module import module
from tenants.apps import get_settings
from tenants.db import unit_of_work
from tenants.db.engine import create_runtime_pool
from tenants.directory import Directory, get_directory, set_directory
from tenants.modules import list_operations
from tenants.testing import API, connect
from tests.isolation.test_routes import REPEATABLE_BY_NATURE

READ, APPEND = 3, 4  # Nothing that is called often may cost more.
CALL = {"call_id": "call_1", "name": "get_weather", "arguments": {"city": "Oslo"}}
MESSAGE = {"role": "assistant", "content": "Hm.", "tool_calls": [CALL]}
NEXT = {**MESSAGE, "tool_calls": [{**CALL, "call_id": "call_2"}, {**CALL, "call_id": "call_3"}]}
FEEDBACK = {"author": "user-7", "rating": "down"}
FORM = {"files": {"file": ("a.txt", b"Oslo", "text/plain")}}
SUMMARY = {"from_seq": 1, "to_seq": 1, "text": "Not much."}
ONE = "/conversations/{conversation_id}"
EVERYTHING = ("GET", "/export")


def make_import():
    """A body of one conversation that nobody has imported."""
    source, moment = secrets.token_hex(8), "2026-03-01T12:00:00Z"
    times = dict.fromkeys(("created_at", "updated_at", "last_activity_at"), moment)
    message = {
        "type": "message",
        "conversation_id": source,
        "id": "1",
        "seq": 1,
        "role": "assistant",
    }
    calls = [{**CALL, "id": "1"}]
    return [{"type": "conversation", "id": source, **times}, {**message, "tool_calls": calls}]


# BEGIN with role and path is one, COMMIT is one, each statement is one.
BUDGETS = {
    # It inserts, appends and reads what it has made.
    ("POST", "/conversations"): (5, {"messages": [MESSAGE]}),
    ("GET", "/conversations"): (READ, None),
    ("GET", ONE): (READ, None),
    ("PATCH", ONE): (3, {"title": "Weather"}),
    ("POST", f"{ONE}/archive"): (3, None),
    # One that isn't deleted is read instead.
    ("POST", f"{ONE}/restore"): (4, None),
    ("DELETE", ONE): (3, None),
    ("POST", f"{ONE}/messages"): (3, NEXT),
    ("GET", f"{ONE}/messages"): (READ, None),
    ("GET", f"{ONE}/messages/{{message_id}}"): (READ, None),
    ("GET", f"{ONE}/tool-calls"): (READ, None),
    ("POST", f"{ONE}/drafts/{{draft_id}}"): (READ, {"delta": "Hm"}),
    ("GET", f"{ONE}/feedback"): (READ, None),
    ("GET", f"{ONE}/messages/{{message_id}}/feedback"): (READ, None),
    ("PUT", f"{ONE}/messages/{{message_id}}/feedback"): (3, FEEDBACK),
    ("DELETE", f"{ONE}/messages/{{message_id}}/feedback/{{feedback_id}}"): (3, None),
    ("POST", "/attachments"): (3, FORM),
    ("GET", "/attachments/{attachment_id}"): (READ, None),
    ("GET", "/attachments/{attachment_id}/content"): (READ, None),
    # Nothing is locked while the bytes are being removed.
    ("DELETE", "/attachments/{attachment_id}"): (6, None),
    ("GET", "/erasures"): (READ, None),
    ("GET", "/erasures/{erasure_id}"): (READ, None),
    # In short transactions: claim, messages, files, the row, the receipt.
    ("POST", f"{ONE}/erase"): (20, None),
    ("POST", "/users/{path:user_id}/erase"): (38, None),
    ("GET", f"{ONE}/tool-calls/{{call_id}}"): (READ, None),
    ("POST", f"{ONE}/tool-calls/{{call_id}}/start"): (3, None),
    ("POST", f"{ONE}/tool-calls/{{call_id}}/approve"): (3, {"by": "user-7"}),
    ("POST", f"{ONE}/tool-calls/{{call_id}}/deny"): (3, {"by": "user-7"}),
    ("POST", f"{ONE}/tool-calls/{{call_id}}/cancel"): (3, {}),
    ("GET", f"{ONE}/check"): (READ, None),
    # It locks the head, and looks.
    ("POST", f"{ONE}/repair"): (4, None),
    # It looks at the call first, so that a repeated report gets the same answer.
    ("POST", f"{ONE}/tool-calls/{{call_id}}/result"): (4, {"output": "12 °C"}),
    ("GET", "/usage"): (READ, None),
    ("GET", "/search"): (READ, None),
    # Heads, messages, calls, summaries, feedback, files: a page of an export has of everything.
    # A new conversation: it looks for it, makes it, adds messages and calls, and moves the head.
    ("POST", "/imports"): (7, make_import),
    ("GET", f"{ONE}/export"): (8, None),
    ("GET", "/users/{path:user_id}/export"): (11, None),
    EVERYTHING: (11, None),
    ("GET", f"{ONE}/context"): (READ, None),
    ("POST", f"{ONE}/summaries"): (3, SUMMARY),
    ("GET", f"{ONE}/summaries"): (READ, None),
    ("DELETE", f"{ONE}/summaries/{{summary_id}}"): (3, None),
    ("GET", f"{ONE}/branches"): (READ, None),
    # It copies, and reads what it has made; an edit finds the message before and appends after.
    ("POST", f"{ONE}/forks"): (4, {"at_seq": 1}),
    ("POST", f"{ONE}/messages/{{message_id}}/edit"): (6, {"content": "Well."}),
}


WIRE = "http://localhost/openai/v1"
ITEM = {"role": "user", "content": "Hm."}
CALL_ITEM = {"type": "function_call", "call_id": "call_4", "name": "f", "arguments": "{}"}
# By method, path, body and headers.
WIRE_BUDGETS = [
    # It inserts, reads what it has made, and appends.
    (5, "POST", "/conversations", {"items": [ITEM]}, {}),
    (READ, "GET", ONE, None, {}),
    (3, "POST", ONE, {"metadata": {"a": "b"}}, {}),
    (3, "DELETE", ONE, None, {}),
    (3, "POST", f"{ONE}/items", {"items": [ITEM]}, {}),
    # A client that may repeat it: that is recorded in the same transaction.
    (4, "POST", f"{ONE}/items", {"items": [ITEM]}, {"x-stainless-retry-count": "0"}),
    # It looks first whether the call is new.
    (4, "POST", f"{ONE}/items", {"items": [CALL_ITEM]}, {}),
    (READ, "GET", f"{ONE}/items", None, {}),
    (READ, "GET", f"{ONE}/items?after={{message_id}}", None, {}),
    (READ, "GET", f"{ONE}/items/{{message_id}}", None, {}),
    # It locks the conversation, finds the item, hides it, and reads.
    (6, "DELETE", f"{ONE}/items/{{message_id}}", None, {}),
]


class CountingProxy:
    """Passes the protocol on to the server of a URL, and counts what makes the client wait.

    url: the same login and database, through the proxy. round_trips: since it was last set.
    Source: PostgreSQL manual, "Frontend/Backend Protocol", "Message Formats".
    """

    def __init__(self, url: str, folder: Path) -> None:
        parts = make_url(url)
        socket = f".s.PGSQL.{parts.query['port']}"
        self._server_path = Path(str(parts.query["host"])) / socket
        self._own_path = folder / socket
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = parts.update_query_dict({"host": str(folder)}).render_as_string(False)
        self.round_trips = 0

    async def __aenter__(self) -> "CountingProxy":
        self._server = await asyncio.start_unix_server(self._serve, self._own_path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, client, answers) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError):
            server, requests = await asyncio.open_unix_connection(self._server_path)
            carrying = asyncio.create_task(self._carry_answers(server, answers))
            try:
                await self._carry_requests(client, requests)
            finally:
                carrying.cancel()
                for writer in (requests, answers):
                    writer.close()

    async def _carry_requests(self, client, requests) -> None:
        # The first message has no type, only a length, which counts itself.
        length = await client.readexactly(4)
        requests.write(length + await client.readexactly(int.from_bytes(length) - 4))
        while True:
            head = await client.readexactly(5)
            body = await client.readexactly(int.from_bytes(head[1:]) - 4)
            # Query, Sync and Flush: after each of them the client waits for the server.
            self.round_trips += head[:1] in b"QSH"
            requests.write(head + body)

    @staticmethod
    async def _carry_answers(server, answers) -> None:
        while data := await server.read(65536):
            answers.write(data)
        answers.close()  # The client that is closing waits for this.


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    return await make_tenant()


@contextlib.asynccontextmanager
async def open_proxy(url):
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder:
        async with CountingProxy(url, Path(folder)) as proxy:
            yield proxy


@pytest.fixture
async def tenants_proxy(application, monkeypatch):
    """Stands before the tenants' database; one connection, so that its statements are prepared."""
    settings = get_settings()
    async with open_proxy(settings.runtime_url.get_secret_value()) as proxy:
        changes = {"runtime_url": SecretStr(proxy.url), "pool_size": 1}
        pool = create_runtime_pool(settings.model_copy(update=changes))
        monkeypatch.setattr(unit_of_work, "get_pool", lambda _database: pool)
        yield proxy
        await pool.close()


@pytest.fixture
async def registry_proxy(application):
    """Stands before the registry, with a directory that asks it for nothing but what it must."""
    settings, original = get_settings(), get_directory()
    async with open_proxy(settings.registry_url.get_secret_value()) as proxy:
        changes = {
            "registry_url": SecretStr(proxy.url),
            "registry_poll_interval_seconds": 3600.0,
            "registry_trust_seconds": 3600.0,
        }
        directory = Directory(settings.model_copy(update=changes))
        await directory.start()
        set_directory(directory)
        yield proxy
        set_directory(original)
        await directory.stop()


async def make_path(api: httpx.AsyncClient, template: str) -> str:
    """The template with the ids of a new conversation and of what belongs to it."""
    call = {**CALL, "requires_approval": template.endswith(("/approve", "/deny"))}
    asking = {**MESSAGE, "tool_calls": [call]}
    user = f"user-{secrets.token_hex(4)}"
    conversation = (
        await api.post("/conversations", json={"user_id": user, "messages": [asking]})
    ).json()
    (message,) = conversation["messages"]
    path = f"/conversations/{conversation['id']}/summaries"
    summary = (await api.post(path, json=SUMMARY)).json()
    path = f"/conversations/{conversation['id']}/messages/{message['id']}/feedback"
    feedback = (await api.put(path, json=FEEDBACK)).json()
    attachment = (await api.post("/attachments", **FORM)).json()
    erasure = {"id": None}
    if template.startswith("/erasures"):
        await api.post("/conversations", json={"user_id": "erased", "messages": [asking]})
        erasure = (await api.post("/users/erased/erase")).json()
    return template.replace("{path:", "{").format(
        conversation_id=conversation["id"],
        message_id=message["id"],
        call_id=CALL["call_id"],
        feedback_id=feedback["id"],
        attachment_id=attachment["id"],
        erasure_id=erasure["id"],
        user_id=user,
        summary_id=summary["id"],
        draft_id="draft",
    )


async def count(api, proxy, method, template, path=None, **headers) -> int:
    """How many it takes, on the path if one is given and else on new objects."""
    path, (_, body) = path or await make_path(api, template), BUDGETS[method, template]
    proxy.round_trips = 0
    body = body() if callable(body) else body
    sent = body if body is FORM else {"json": body}
    if method == "GET" and path.endswith("/search"):
        sent = {"params": {"q": "Hm"}}
    answer = await api.request(method, path, headers=headers, **sent)
    assert answer.is_success, answer.text
    return proxy.round_trips


def test_every_endpoint_has_a_budget():
    operations = list_operations(module.router)
    routes = Counter((method, path) for path, each in operations for method in each.methods)
    # A stream costs while it lasts; what it costs when idle is tested with the hub.
    streams = {("GET", "/events"), ("GET", f"{ONE}/events")}
    assert set(routes) == set(BUDGETS) | streams


@pytest.mark.parametrize(("method", "template"), [each for each in BUDGETS if each != EVERYTHING])
async def test_an_endpoint_costs_its_budget(api, tenants_proxy, method, template):
    await count(api, tenants_proxy, method, template)  # Prepares the statements.

    assert await count(api, tenants_proxy, method, template) == BUDGETS[method, template][0]


async def test_an_export_of_everything_costs_its_budget(application, make_tenant, tenants_proxy):
    """Of a tenant who has no more than fits on a page."""
    options = {"base_url": f"http://localhost{API}", "tenant": await make_tenant()}
    async with connect(application, **options) as api:
        await count(api, tenants_proxy, *EVERYTHING)  # Prepares the statements.

        assert await count(api, tenants_proxy, *EVERYTHING) == BUDGETS[EVERYTHING][0]


async def test_an_append_that_is_safe_to_repeat_costs_its_lock_and_its_look(api, tenants_proxy):
    """The head is locked, what is there is looked up, the rest is written, each by a statement."""
    path = await make_path(api, f"{ONE}/messages")
    appends = [
        ({"external_id": "a"}, {}, 5),
        ({"external_id": "b"}, {}, 5),
        ({"external_id": "b"}, {}, 4),  # Nothing is written.
        ({}, {"expected_seq": 3}, 4),
        ({}, {"expected_seq": 3}, 3),  # It is refused.
    ]
    for number, (more, query, budget) in enumerate(appends):
        tenants_proxy.round_trips = 0
        await api.post(path, json={"role": "user", "content": "x", **more}, params=query)
        if number > 0:  # The first one prepares the statements.
            assert tenants_proxy.round_trips == budget, number


@pytest.mark.parametrize(("budget", "method", "template", "body", "headers"), WIRE_BUDGETS)
async def test_the_openai_wire_costs_its_budget(
    api, tenants_proxy, budget, method, template, body, headers
):
    for _ in range(2):  # The first one prepares the statements.
        message = {"role": "user", "content": "Hm."}
        conversation = (await api.post("/conversations", json={"messages": [message]})).json()
        path = template.format(
            conversation_id=conversation["id"], message_id=conversation["messages"][0]["id"]
        )
        tenants_proxy.round_trips = 0
        answer = await api.request(method, WIRE + path, json=body, headers=headers)
        assert answer.is_success, answer.text

    assert tenants_proxy.round_trips == budget


@pytest.mark.parametrize(
    "template",
    [
        path
        for method, path in BUDGETS
        if method == "POST" and not path.endswith(REPEATABLE_BY_NATURE)
    ],
)
async def test_an_idempotency_key_costs_two_or_none_and_a_repeat_three(
    api, tenants_proxy, template
):
    for _ in range(2):  # The first time prepares the statements.
        path = await make_path(api, template)
        key = {"Idempotency-Key": secrets.token_hex(8)}
        first = await count(api, tenants_proxy, "POST", template, path, **key)
        repeat = await count(api, tenants_proxy, "POST", template, path, **key)

    # An append keeps its answer itself.
    more = 0 if template.endswith("/messages") else 2
    assert first == BUDGETS["POST", template][0] + more
    assert repeat == 3


def test_reads_cost_three_and_appends_four_at_the_most():
    for (method, path), (budget, _) in BUDGETS.items():
        if method == "GET" and not path.endswith("/export"):
            assert budget <= READ
        elif path.endswith(("/messages", "/result")):
            assert budget <= APPEND


async def test_a_key_that_is_known_costs_no_round_trip(api, registry_proxy, tenants_proxy):
    path = await make_path(api, "/conversations/{conversation_id}/messages")
    asked = registry_proxy.round_trips
    assert asked > 0  # The proxy is in the way: the key had to be looked up.

    for _ in range(3):
        assert (await api.get(path)).status_code == 200

    assert registry_proxy.round_trips == asked
