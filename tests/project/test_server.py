import asyncio
import contextlib
import itertools
import os
import re
import signal
import socket
import threading
import time
from urllib.parse import urljoin

import httpx
import orjson
import psycopg
import pytest

from project.dev.postgres import EmbeddedPostgres
from project.server import PortTaken, open_socket
from tests.project.dev.test_postgres import can_connect, postmaster_of
from tests.project.processes import (
    Service,
    children_of,
    data_folder,
    is_alive,
    run_command,
    running_dev,
    running_serve,
    status_of,
    until,
)

PATH = "/api/v1/conversations"
PRODUCTION = {
    "TENANTRY_ENVIRONMENT": "production",
    **{
        f"TENANTRY_{login}_URL": "postgresql://nobody@localhost/none"
        for login in ("REGISTRY", "RUNTIME", "OWNER")
    },
}


@pytest.fixture(scope="module")
def dev():
    """A development server with its demo tenant, for tests that leave it as it is."""
    with data_folder() as data_dir, running_dev(data_dir) as service:
        service.facts["data_dir"] = str(data_dir)
        yield service
        assert service.end(signal.SIGTERM) == 0


def fetch(service: Service, path: str, **options):
    return httpx.get(urljoin(service.base_url, path), timeout=10, **options)


def read_all(service: Service, path: str):
    """The items of a list, page by page."""
    items, after = [], ""
    while after is not None:
        query = {"limit": 100} | ({"after": after} if after else {})
        page = fetch(service, path, params=query, headers=service.headers).json()
        items += page["data"]
        after = page["next_cursor"]
    return items


# The development server


def test_the_line_of_json_has_all_that_a_program_needs(dev):
    facts = dev.facts

    assert set(facts) - {"data_dir"} == {
        "base_url",
        "tenant",
        "api_key",
        "operator_key",
        "admin_url",
        "admin_user",
        "admin_password",
        "registry_url",
        "runtime_url",
        "owner_url",
    }
    assert facts["tenant"] == "demo"
    users = {}
    for login in ("registry", "runtime", "owner"):
        with psycopg.connect(facts[f"{login}_url"]) as connection:
            users[login] = connection.execute("SELECT current_user").fetchone()[0]
    assert len(set(users.values())) == 3


def test_the_demo_tenant_has_a_conversation_with_a_tool_call(dev):
    (conversation,) = fetch(dev, PATH, headers=dev.headers).json()["data"]
    messages = fetch(dev, f"{PATH}/{conversation['id']}/messages", headers=dev.headers).json()

    assert [message["role"] for message in messages["data"]] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert messages["data"][2]["tool_calls"][0]["status"] == "succeeded"


def test_the_docs_work_without_any_other_host(dev):
    page = fetch(dev, "/api/docs")

    assert page.status_code == 200
    assert fetch(dev, "/", follow_redirects=True).url.path == "/api/docs"
    resources = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    assert len(resources) >= 3
    for resource in resources:
        assert not re.match(r"(https?:)?//", resource), resource
        assert fetch(dev, resource).status_code == 200, resource
    assert not re.findall(r"""["'(]\s*(?:https?:)?//(?!www\.w3\.org)""", page.text)
    document = fetch(dev, "/api/openapi.json").json()
    assert f"{PATH}/{{conversation_id}}/messages" in document["paths"]


def test_an_administrator_logs_in_with_the_password_that_is_printed(dev):
    with httpx.Client(base_url=dev.base_url, follow_redirects=True) as browser:
        page = browser.get("/admin/")
        assert page.url.path == "/admin/login/"
        for style in re.findall(r"""(?:src|href)=["'](/static/[^"']+)["']""", page.text):
            asset = browser.get(style)
            assert asset.status_code == 200, style
            assert asset.content
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
        form = {
            "username": dev.facts["admin_user"],
            "password": dev.facts["admin_password"],
            "csrfmiddlewaretoken": token,
            "next": "/admin/",
        }
        refused = browser.post("/admin/login/", data={**form, "password": "guess"})
        assert refused.url.path == "/admin/login/"
        index = browser.post("/admin/login/", data=form)

    assert (index.status_code, index.url.path) == (200, "/admin/")
    assert "/admin/tenants/tenant/" in index.text


@pytest.mark.slow
def test_commands_of_another_process_find_the_database_that_is_being_served(dev):
    listing = run_command("tenants", "list", "--json", TENANTRY_DATA_DIR=dev.facts["data_dir"])
    created = run_command(
        "tenants",
        "create",
        "acme",
        "--name",
        "Acme",
        "--json",
        TENANTRY_DATA_DIR=dev.facts["data_dir"],
    )

    assert [tenant["slug"] for tenant in orjson.loads(listing.stdout)] == ["demo"]
    tenant = orjson.loads(created.stdout)
    assert (listing.returncode, created.returncode) == (0, 0)
    answer = fetch(dev, PATH, headers={"Authorization": f"Bearer {tenant['api_key']}"})
    assert (answer.status_code, answer.json()["data"]) == (200, [])


def test_no_key_is_logged(dev):
    for _ in range(2):
        fetch(dev, PATH, headers=dev.headers)
        assert fetch(dev, f"{PATH}?key={dev.facts['api_key']}").status_code == 400
        assert fetch(dev, f"/{dev.facts['api_key']}").status_code == 400

    log = dev.log.read_text()
    assert "tnt_[redacted]" in log
    assert dev.facts["api_key"] not in log
    assert dev.facts["api_key"].split("_")[2] not in log


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /api/v1/conversations?user_id=\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /api/v1/conversations HTTP/1.1\r\n\r\n",
        b"GET /api/v1/conversations HTTP/1.0\r\n\r\n",
        b"GET http://evil.example/api/v1/conversations HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /api/v1/\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/v1/conversations HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /api/v1/conversations HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: 99999999999\r\n\r\n{}",
        b"POST /api/v1/conversations HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
    ],
)
def test_what_is_hardly_http_gets_a_client_error_and_harms_nobody(dev, sent):
    host, port = dev.base_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(sent)
        with contextlib.suppress(TimeoutError):
            connection.settimeout(2)
            answer = connection.recv(65536)

    assert re.match(rb"HTTP/1\.[01] 4\d\d ", answer), answer
    assert fetch(dev, PATH, headers=dev.headers).status_code == 200
    assert "Traceback" not in dev.log.read_text()


@pytest.mark.slow
def test_ctrl_c_stops_everything_and_a_second_start_finds_it_all_again():
    with data_folder() as data_dir:
        started_at = time.monotonic()
        with running_dev(data_dir) as service:
            first, cold_seconds = service.facts, time.monotonic() - started_at
            assert EmbeddedPostgres.running(data_dir / "postgres")
            assert service.end(signal.SIGINT) == 0
            assert "Traceback" not in service.log.read_text()
        assert not EmbeddedPostgres.running(data_dir / "postgres")

        # A command that finds nothing running starts the database for as long as it runs.
        listing = run_command("tenants", "list", "--json", TENANTRY_DATA_DIR=str(data_dir))
        assert [tenant["slug"] for tenant in orjson.loads(listing.stdout)] == ["demo"]
        assert not EmbeddedPostgres.running(data_dir / "postgres")

        started_at = time.monotonic()
        with running_dev(data_dir) as service:
            assert time.monotonic() - started_at < cold_seconds + 1
            same = ("api_key", "admin_password", "registry_url", "runtime_url", "owner_url")
            assert {name: service.facts[name] for name in same} == {
                name: first[name] for name in same
            }
            page = fetch(service, PATH, headers=service.headers).json()
            assert [row["title"] for row in page["data"]] == ["A weekend in Oslo"]
            service.end(signal.SIGINT)


@pytest.mark.slow
def test_no_acknowledged_message_is_lost_when_the_server_is_killed():
    with data_folder() as data_dir:
        acknowledged: list[str] = []
        with running_dev(data_dir) as service:
            conversation = httpx.post(
                service.base_url + PATH, json={}, headers=service.headers
            ).json()["id"]
            path = f"{PATH}/{conversation}/messages"

            def append_until_it_dies(name: int) -> None:
                with httpx.Client(base_url=service.base_url, headers=service.headers) as client:
                    for number in range(100_000):
                        text = f"{name}-{number}"
                        answer = client.post(path, json={"role": "user", "content": text})
                        assert answer.status_code == 201
                        acknowledged.append(text)

            def append(name: int) -> None:
                with contextlib.suppress(httpx.TransportError):
                    append_until_it_dies(name)

            threads = [threading.Thread(target=append, args=(name,)) for name in range(4)]
            for thread in threads:
                thread.start()
            until(lambda: len(acknowledged) > 50)
            service.end(signal.SIGKILL)
            for thread in threads:
                thread.join()

        with running_dev(data_dir) as service:
            kept = read_all(service, path)
            assert service.end(signal.SIGTERM) == 0

    assert set(acknowledged) <= {message["content"] for message in kept}
    assert [message["seq"] for message in kept] == list(range(1, len(kept) + 1))
    # Each client had one request under way when the server died.
    assert len(kept) <= len(acknowledged) + len(threads)


@pytest.mark.slow
def test_a_database_that_is_killed_in_mid_commit_costs_retries_and_nothing_else():
    """Clients repeat what is in doubt under the same key, as the documentation tells them to."""
    with data_folder() as data_dir, running_dev(data_dir) as service:
        conversation = httpx.post(service.base_url + PATH, json={}, headers=service.headers).json()[
            "id"
        ]
        path = f"{PATH}/{conversation}/messages"
        acknowledged: list[str] = []
        refused: set[tuple[int, str]] = set()
        enough = threading.Event()

        def append(name: int) -> None:
            with httpx.Client(base_url=service.base_url, headers=service.headers) as client:
                for number in itertools.count():
                    text = f"{name}-{number}"
                    while True:
                        answer = client.post(
                            path,
                            json={"role": "user", "content": text},
                            headers={"Idempotency-Key": text},
                            timeout=60,
                        )
                        if answer.status_code == 201:
                            break
                        refused.add((answer.status_code, answer.json()["code"]))
                        time.sleep(0.05)
                    acknowledged.append(text)
                    if enough.is_set():
                        return

        threads = [threading.Thread(target=append, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            known = len(acknowledged)
            until(lambda known=known: len(acknowledged) > known + 20)
            killed = postmaster_of(data_dir / "postgres")
            os.kill(killed, signal.SIGKILL)
            until(lambda: can_connect(service.facts["runtime_url"]))
            known, accepting_at = len(acknowledged), time.monotonic()
            until(lambda known=known: len(acknowledged) > known)
            # A second, and what a busy machine takes besides.
            assert time.monotonic() - accepting_at < 5
        enough.set()
        for thread in threads:
            thread.join(30)

        kept = read_all(service, path)

    assert {status for status, _ in refused} <= {409, 503}, refused
    assert sorted(message["content"] for message in kept) == sorted(acknowledged)
    assert [message["seq"] for message in kept] == list(range(1, len(kept) + 1))


@pytest.mark.slow
def test_a_server_that_is_killed_leaves_no_database_behind():
    with data_folder() as data_dir:
        with running_dev(data_dir, "--no-demo") as service:
            assert (service.facts["tenant"], service.facts["api_key"]) == (None, None)
            service.end(signal.SIGKILL)
        until(lambda: not EmbeddedPostgres.running(data_dir / "postgres"))


# Stopping


@pytest.mark.slow
async def test_on_sigterm_readiness_fails_first_and_requests_are_answered_meanwhile(tenant):
    drain_seconds = 1.5
    with running_serve(TENANTRY_DRAIN_DELAY_SECONDS=str(drain_seconds)) as service:
        answers: list[tuple[float, int]] = []  # When it was asked, and the status.
        stopped = asyncio.Event()

        async def load(client: httpx.AsyncClient) -> None:
            while not stopped.is_set():
                asked_at = time.monotonic()
                try:
                    answer = await client.get(PATH, headers=tenant.headers)
                    answers.append((asked_at, answer.status_code))
                except httpx.TransportError:
                    answers.append((asked_at, 0))
                    stopped.set()

        async def slow_body():
            yield b'{"title": '
            await asyncio.sleep(drain_seconds + 1)  # The listener is closed by then.
            yield b'"in flight"}'

        async with httpx.AsyncClient(base_url=service.base_url) as client:
            headers = {**tenant.headers, "Content-Type": "application/json"}
            in_flight = asyncio.create_task(client.post(PATH, content=slow_body(), headers=headers))
            loading = [asyncio.create_task(load(client)) for _ in range(4)]
            await asyncio.sleep(0.3)

            told_at = time.monotonic()
            service.tell(signal.SIGTERM)
            while (readiness := await client.get("/readyz")).status_code == 200:
                assert time.monotonic() - told_at < 1
            not_ready_at = time.monotonic()
            await asyncio.gather(*loading)
            late = await in_flight

        assert (readiness.status_code, readiness.json()["status"]) == (503, "draining")
        assert readiness.headers["connection"] == "close"
        closed_at = min(asked_at for asked_at, status in answers if status == 0)
        assert closed_at - told_at > drain_seconds - 0.5
        for begin, end in ((0, told_at), (told_at, not_ready_at), (not_ready_at, closed_at - 0.3)):
            statuses = {status for asked_at, status in answers if begin < asked_at < end}
            assert statuses <= {200}
        assert statuses == {200}
        assert (late.status_code, late.json()["title"]) == (201, "in flight")
        assert await asyncio.to_thread(service.process.wait, 10) == 0
        assert "Traceback" not in service.log.read_text()


@pytest.mark.slow
async def test_ctrl_c_ends_a_server_without_a_delay():
    with running_serve(TENANTRY_DRAIN_DELAY_SECONDS="30") as service:
        started_at = time.monotonic()
        assert service.end(signal.SIGINT) == 0
        assert time.monotonic() - started_at < 10


@pytest.mark.slow
async def test_a_request_that_never_ends_is_cut_off_at_the_deadline(tenant):
    with running_serve(
        TENANTRY_DRAIN_DELAY_SECONDS="0", TENANTRY_SHUTDOWN_TIMEOUT_SECONDS="1"
    ) as service:
        host, port = service.base_url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n"
                f"Authorization: Bearer {tenant.key}\r\n\r\n{{".encode()
            )
            await asyncio.sleep(0.3)
            assert service.end(signal.SIGTERM, 10) == 0


# Several processes


@pytest.mark.slow
async def test_a_worker_that_is_killed_is_replaced(tenant):
    with running_serve("--workers", "2", TENANTRY_DRAIN_DELAY_SECONDS="0") as service:
        before = until_there_are_workers(service, 2)

        os.kill(before[0], signal.SIGKILL)
        until(lambda: not is_alive(before[0]))
        after = until_there_are_workers(service, 2)

        assert len(set(before) & set(after)) == 1
        for _ in range(20):
            answer = fetch(service, PATH, headers=tenant.headers)
            assert answer.status_code == 200
        assert service.end(signal.SIGTERM) == 0
        assert not [pid for pid in after if is_alive(pid)]


@pytest.mark.slow
async def test_workers_end_when_their_supervisor_is_killed(tenant):
    with running_serve("--workers", "2", TENANTRY_DRAIN_DELAY_SECONDS="0") as service:
        workers = until_there_are_workers(service, 2)

        service.end(signal.SIGKILL)

        until(lambda: not [pid for pid in workers if is_alive(pid)])
        assert status_of(service, "/healthz") == 0


@pytest.mark.slow
async def test_workers_that_cannot_start_end_the_server_with_the_reason():
    url = "postgresql://nobody:x@localhost:1/none"
    answer = await asyncio.to_thread(
        run_command,
        "serve",
        "--port",
        "0",
        "--workers",
        "2",
        **{f"TENANTRY_{login}_URL": url for login in ("REGISTRY", "RUNTIME", "OWNER")},
    )

    assert answer.returncode == 3
    assert "runtime login can't reach the database" in answer.stderr
    assert "Traceback" not in answer.stderr


def until_there_are_workers(service: Service, count: int) -> list[int]:
    """The processes that serve; the supervisor also has one that tracks its resources."""
    found: list[int] = []

    def is_complete() -> bool:
        # A worker leads a process group of its own.
        found[:] = [pid for pid in children_of(service.process.pid) if leads_group(pid)]
        return len(found) == count

    until(is_complete)
    return found


def leads_group(pid: int) -> bool:
    try:
        return is_alive(pid) and os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


# What goes wrong at the start


def assert_one_clear_line(result, code):
    assert result.returncode == code, result
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.slow
def test_a_taken_port_is_one_clear_line_and_leaves_no_database_behind():
    with data_folder() as data_dir, socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        result = run_command("dev", "--port", str(port), "--data-dir", str(data_dir))

        line = assert_one_clear_line(result, 1)
        assert f"127.0.0.1:{port}" in line
        assert "--port" in line
        assert not EmbeddedPostgres.running(data_dir / "postgres")


@pytest.mark.parametrize(
    ("host", "port"),
    [("127.0.0.1", 65_536), ("127.0.0.1", -1), ("nowhere.invalid", 0), ("192.0.2.1", 0)],
)
def test_an_address_that_cannot_be_listened_on_is_said_with_the_reason(host, port):
    with pytest.raises(PortTaken, match=rf"cannot listen on {host}:{port}: .*\w\. Choose"):
        open_socket(host, port)


def test_a_data_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")

    result = run_command("dev", TENANTRY_DATA_DIR=str(tmp_path / "file" / "data"))

    assert str(tmp_path / "file") in assert_one_clear_line(result, 2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_data_folder_that_cannot_be_written_is_one_clear_line(tmp_path):
    tmp_path.chmod(0o500)

    result = run_command("dev", TENANTRY_DATA_DIR=str(tmp_path / "data"))

    assert str(tmp_path) in assert_one_clear_line(result, 2)


def test_every_wrong_setting_is_named_in_a_clear_line_of_its_own():
    wrong = {
        "TENANTRY_DEBUG": "true",
        "TENANTRY_POOL_SIZE": "0",
        "TENANTRY_LOG_LEVEL": "LOUD",
        "TENANTRY_POLL_SIZE": "10",
        "TENANTRY_OWNER_URL": "mysql://someone:hidden@h/d",
    }

    result = run_command("serve", **PRODUCTION | wrong)

    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert all(line.startswith("error: TENANTRY_") for line in lines), result.stderr
    named = {line.removeprefix("error: ").split(":")[0] for line in lines}
    # The rules of production are looked at once every value is sound.
    assert named >= set(wrong) - {"TENANTRY_DEBUG"}
    assert "hidden" not in result.stderr


def test_production_does_not_start_without_a_secret_key():
    result = run_command("serve", **PRODUCTION)

    assert "TENANTRY_SECRET_KEY: is required in production" in assert_one_clear_line(result, 2)


@pytest.mark.slow
async def test_a_runtime_login_that_may_do_too_much_is_refused():
    settings = {name: os.environ[name] for name in os.environ if name.startswith("TENANTRY_")}
    settings["TENANTRY_RUNTIME_URL"] = settings["TENANTRY_OWNER_URL"]

    result = await asyncio.to_thread(run_command, "serve", "--port", "0", **settings)

    assert result.returncode == 3
    assert "Traceback" not in result.stderr
    assert "runtime login" in result.stderr


@pytest.mark.parametrize("count", ["0", pytest.param("many", marks=pytest.mark.slow)])
async def test_a_number_of_workers_that_cannot_serve_is_one_clear_line(count):
    result = await asyncio.to_thread(run_command, "serve", "--workers", count)

    assert result.returncode == 2
    assert "--workers: invalid" in result.stderr
    assert "Traceback" not in result.stderr
