import errno
import tempfile
import time
from datetime import UTC, datetime

import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from project.gateway import Gateway
from project.health import readiness
from tenants.apps import get_settings
from tenants.db import engine
from tenants.db.unit_of_work import read_session
from tenants.directory import get_directory, set_directory
from tenants.errors import DatabaseUnavailable
from tenants.models import Domain
from tests.log import log_as_production
from tests.project.exchange import LOCAL, Exchange

PATH = "/api/v1/conversations"
JSON = (b"content-type", b"application/json")


def bearer(tenant, *more):
    return [*LOCAL, (b"authorization", f"Bearer {tenant.key}".encode()), *more]


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file: its tests keep to conversations of their own."""
    return await make_tenant()


@pytest.fixture
def gateway(application):
    """Make a gateway with other settings: `gateway(max_body_bytes=1024)`."""
    return lambda **changes: Gateway(application.settings.model_copy(update=changes), None)


@pytest.fixture
def log_lines():
    """What has been logged, as production would write it: `log_lines()`, a line each."""
    with log_as_production("INFO") as written:
        # The client that asks is in the same process, and logs too.
        yield lambda: [line for line in written.getvalue().splitlines() if "httpx" not in line]


# Request ids and the access log


async def test_an_answer_carries_the_request_id_that_was_given(application, log_lines):
    exchange = await Exchange("GET", PATH, headers=[*LOCAL, (b"x-request-id", b"my.id-1_a")]).run(
        application
    )

    assert exchange.headers["x-request-id"] == "my.id-1_a"
    assert exchange.problem["request_id"] == "my.id-1_a"
    assert [orjson.loads(line)["request_id"] for line in log_lines()] == ["my.id-1_a"]


@pytest.mark.parametrize("given", [b"", b"a b", b"x" * 65, b"\xff", b"a\nb", b'"', b"<script>"])
async def test_a_request_id_that_is_no_modest_word_is_replaced(application, given):
    exchange = await Exchange("GET", PATH, headers=[*LOCAL, (b"x-request-id", given)]).run(
        application
    )

    assert exchange.problem["request_id"].isalnum()
    assert len(exchange.problem["request_id"]) == 32


async def test_every_request_has_a_request_id_of_its_own(api, client):
    answers = [
        await api.get("/conversations"),
        await api.get("/conversations"),
        await api.get("/nowhere"),
        await client.get("/healthz"),
        await client.get("/api/docs"),
    ]

    assert len({answer.headers["x-request-id"] for answer in answers}) == 5


async def test_the_access_log_names_request_and_tenant_but_no_key_and_no_content(
    api, tenant, log_lines
):
    answer = await api.post(
        "/conversations?surprise=hunter2",
        json={"title": "Top secret", "messages": [{"role": "user", "content": "Top secret"}]},
    )
    await api.post("/conversations", json={"title": "Top secret"})

    lines = log_lines()
    refused, made = map(orjson.loads, lines)
    assert answer.status_code == 422
    for line, status in ((refused, 422), (made, 201)):
        assert (line["event"], line["method"], line["path"]) == ("request", "POST", PATH)
        assert (line["status"], line["tenant"]) == (status, tenant.slug)
        assert line["milliseconds"] > 0
    for line in lines:
        assert tenant.key not in line
        assert tenant.key.split("_")[2] not in line
        assert "secret" not in line
        assert "hunter2" not in line


async def test_one_requests_tenant_is_not_logged_with_the_next(api, client, log_lines):
    await api.get("/conversations")
    await client.get(PATH)

    with_tenant, without = map(orjson.loads, log_lines())
    assert "tenant" in with_tenant
    assert (without["status"], "tenant" in without) == (401, False)


async def test_a_defect_is_logged_with_its_tenant_and_without_what_users_wrote(
    api, tenant, log_lines, monkeypatch
):
    async def write_wrongly(session, new):
        await session.execute(text("SELECT no_such_column, :note"), {"note": new.title})

    monkeypatch.setattr("conversations.service.start_conversation", write_wrongly)

    answer = await api.post("/conversations", json={"title": "Top secret"})

    lines = log_lines()
    failure = orjson.loads(lines[0])
    assert answer.status_code == 500
    assert (failure["event"], failure["tenant"]) == ("request.failed", tenant.slug)
    assert "no_such_column" in failure["exception"]
    assert "Top secret" not in "".join(lines)


# URLs


@pytest.mark.parametrize("query", ["user_id={key}", "key={key}", "x=%74nt_{rest}", "{key}"])
async def test_a_key_in_the_query_is_refused_and_in_no_log_line(
    application, tenant, log_lines, query
):
    query = query.format(key=tenant.key, rest=tenant.key.removeprefix("tnt_"))

    exchange = await Exchange("GET", PATH, query=query.encode(), headers=bearer(tenant)).run(
        application
    )

    assert (exchange.status, exchange.problem["code"]) == (400, "key_in_url")
    assert tenant.key not in exchange.body.decode()
    (line,) = log_lines()
    assert tenant.key.removeprefix("tnt_") not in line


async def test_a_key_in_the_path_is_refused_and_in_no_log_line(application, tenant, log_lines):
    exchange = await Exchange("GET", f"{PATH}/{tenant.key}", headers=bearer(tenant)).run(
        application
    )

    assert (exchange.status, exchange.problem["code"]) == (400, "key_in_url")
    (line,) = log_lines()
    assert "tnt_[redacted]" in line
    assert tenant.key.removeprefix("tnt_") not in line


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (PATH, b"user_id=a%00b"),
        (PATH, b"%00=1"),
        (f"{PATH}/conv_\0", b""),
        ("/admin/\0", b""),
        ("/api/docs", b"x=%00"),
    ],
)
async def test_a_nul_character_in_the_url_is_refused(application, tenant, path, query):
    exchange = await Exchange("GET", path, query=query, headers=bearer(tenant)).run(application)

    assert (exchange.status, exchange.problem["code"]) == (422, "invalid_input")


async def test_a_query_that_is_not_percent_encoded_is_refused(application, tenant):
    for query in (b"user_id=\xff", "user_id=é".encode()):
        for path in (PATH, "/api/docs"):
            exchange = await Exchange("GET", path, query=query, headers=bearer(tenant)).run(
                application
            )
            assert exchange.status == 422
            assert "percent-encoded" in exchange.problem["detail"]


@pytest.mark.parametrize("charset", ["utf-16", "hex", "rot13", "nonsense", ""])
async def test_the_charset_of_a_content_type_has_no_say_in_the_url(application, tenant, charset):
    headers = bearer(tenant, (b"content-type", f"application/json; charset={charset}".encode()))

    exchange = await Exchange("GET", PATH, query=b"user_id=%C3%A9", headers=headers).run(
        application
    )

    assert exchange.status == 200


@pytest.mark.parametrize(
    ("method", "path", "unknown"),
    [
        ("GET", "/conversations?user=ann", ["user"]),
        ("GET", "/conversations?limit=1&Limit=2&after", ["Limit", "after"]),
        ("GET", "/conversations?user_id=ann&x=1&y=2", ["x", "y"]),
        ("GET", "/conversations/{id}?limit=1", ["limit"]),
        ("GET", "/conversations/{id}/messages?open=true", ["open"]),
        ("GET", "/conversations/{id}/tool-calls?order=asc", ["order"]),
        ("POST", "/conversations?title=x", ["title"]),
        ("POST", "/conversations/{id}/messages?dry_run", ["dry_run"]),
        ("PATCH", "/conversations/{id}?title=x", ["title"]),
        ("DELETE", "/conversations/{id}?force=1", ["force"]),
    ],
)
async def test_parameters_that_an_endpoint_does_not_have_are_refused_by_name(
    api, method, path, unknown
):
    conversation = (await api.post("/conversations", json={})).json()["id"]
    body = {"title": "x"} if method == "PATCH" else {"role": "user", "content": "x"}
    if path.startswith("/conversations?"):
        body = {}

    answer = await api.request(
        method, path.format(id=conversation), json=body if method in {"POST", "PATCH"} else None
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    fields = [error["field"] for error in answer.json()["errors"]]
    assert fields == [name for name in unknown if name != "after"]
    unchanged = (await api.get(f"/conversations/{conversation}")).json()
    assert (unchanged["version"], unchanged["status"]) == (1, "active")


async def test_a_caller_without_a_key_learns_of_no_parameter(client):
    answer = await client.get(f"{PATH}?surprise=1")

    assert answer.status_code == 401


async def test_every_known_parameter_is_accepted(api):
    query = "limit=1&order=asc&user_id=a&agent_id=b&status=active&metadata=%7B%7D"

    assert (await api.get(f"/conversations?{query}")).status_code == 200


async def test_more_parameters_than_anybody_needs_are_refused(api):
    answer = await api.get("/conversations?" + "limit=1&" * 1_001)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


# Hosts


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"host", b"localhost"), (b"host", b"localhost")],
        [(b"host", b"")],
        [(b"host", b"evil.example")],
        [(b"host", b"localhost.evil.example")],
        [(b"host", b"evil.localhost")],
        [(b"host", b"a.b.localhost")],
        [(b"host", b"localhost@evil.example")],
        [(b"host", b"localhost:port")],
        [(b"host", b"localhost:123456")],
        [(b"host", b"localhost/")],
        [(b"host", b"localhost, evil.example")],
        [(b"host", b"local host")],
        [(b"host", b"localhost\0")],
        [(b"host", b"\xff")],
        [(b"host", b"x" * 10_000)],
    ],
)
@pytest.mark.parametrize("path", [PATH, "/admin/login/", "/api/docs", "/nowhere"])
async def test_a_host_that_is_not_ours_is_refused_before_any_view(application, headers, path):
    exchange = await Exchange("GET", path, headers=headers).run(application)

    assert (exchange.status, exchange.problem["code"]) == (400, "invalid_host")


@pytest.mark.parametrize(
    "host", [b"localhost", b"LocalHost", b"localhost:8000", b"127.0.0.1:1", b"[::1]:8000", b"[::1]"]
)
async def test_the_services_own_hosts_are_served_with_any_port_and_case(application, tenant, host):
    headers = [(b"host", host), *bearer(tenant)[1:]]

    assert (await Exchange("GET", PATH, headers=headers).run(application)).status == 200


async def test_a_tenants_host_serves_its_key_alone_and_neither_admin_nor_docs(
    application, make_tenant, tenant
):
    other = await make_tenant()
    host = (b"host", f"{tenant.slug}.LOCALHOST:8000".encode())

    def ask(path, caller):
        return Exchange("GET", path, headers=[host, *bearer(caller)[1:]]).run(application)

    assert (await ask(PATH, tenant)).status == 200
    refused = await ask(PATH, other)
    assert (refused.status, refused.problem["code"]) == (401, "unauthenticated")
    for path in ("/admin/", "/admin/login/", "/api/docs", "/api/openapi.json", "/", "/accounts"):
        assert (await ask(path, tenant)).status == 404


async def test_a_tenants_own_domain_is_served(application, tenant):
    host = f"{tenant.slug}.example.org"
    domain = await Domain.objects.acreate(tenant=tenant.row, host=host)
    headers = [(b"host", host.encode()), *bearer(tenant)[1:]]

    assert (await Exchange("GET", PATH, headers=headers).run(application)).status == 400
    await Domain.objects.filter(pk=domain.pk).aupdate(verified_at=datetime.now(UTC))
    await get_directory()._poll()  # Rather than wait for the next one.
    assert (await Exchange("GET", PATH, headers=headers).run(application)).status == 200


async def test_members_sign_in_at_a_tenants_host_whose_dns_is_ours_and_at_no_other(
    application, tenant
):
    own = f"{tenant.slug}.localhost"
    theirs = f"{tenant.slug}.example.net"
    await Domain.objects.acreate(tenant=tenant.row, host=theirs, verified_at=datetime.now(UTC))

    def ask(host, path):
        return Exchange("GET", path, headers=[(b"host", host.encode())]).run(application)

    for path in ("/accounts/login/", "/static/tenants/accounts.css"):
        assert (await ask(own, path)).status == 200
        refused = await ask(theirs, path)
        assert (refused.status, refused.problem["code"]) == (404, "not_found")


async def test_a_forwarded_host_is_ignored_unless_a_proxy_is_trusted(gateway, tenant, make_tenant):
    other = await make_tenant()

    def ask(host, forwarded, **settings):
        headers = [(b"host", host), *((b"x-forwarded-host", name) for name in forwarded)]
        return Exchange("GET", PATH, headers=[*headers, *bearer(tenant)[1:]]).run(
            gateway(**settings)
        )

    others_host = f"{other.slug}.localhost".encode()
    own_host = f"{tenant.slug}.localhost".encode()
    assert (await ask(b"localhost", [others_host])).status == 200
    assert (await ask(b"localhost", [b"evil.example"])).status == 200
    assert (await ask(b"evil.example", [b"localhost"])).status == 400
    trusting = {"trust_proxy_headers": True}
    assert (await ask(b"inner", [own_host], **trusting)).status == 200
    assert (await ask(b"inner", [others_host], **trusting)).status == 401
    assert (await ask(b"localhost", [b"evil.example"], **trusting)).status == 400
    assert (await ask(b"localhost", [own_host, own_host], **trusting)).status == 400
    assert (await ask(b"localhost", [], **trusting)).status == 200


async def test_another_tenant_cannot_be_named_by_any_header(application, make_tenant):
    tenant, other = await make_tenant(), await make_tenant()
    await Exchange("POST", PATH, headers=bearer(other, JSON), chunks=[b'{"title": "theirs"}']).run(
        application
    )

    def ask(name):
        spoof = (name, other.slug.encode())
        return Exchange("GET", PATH, headers=bearer(tenant, spoof)).run(application)

    ignored, refused = await ask(b"x_tenant"), await ask(b"x-tenant")
    assert orjson.loads(ignored.body)["data"] == []
    assert (refused.status, refused.problem["code"]) == (401, "unauthenticated")


# Bodies


async def test_a_body_that_is_announced_too_large_is_refused_unread(gateway, tenant):
    headers = bearer(tenant, JSON, (b"content-length", b"1025"))
    exchange = Exchange("POST", PATH, headers=headers, chunks=[b"x" * 1025])

    await exchange.run(gateway(max_body_bytes=1024))

    assert (exchange.status, exchange.problem["code"]) == (413, "body_too_large")
    assert exchange.received_bytes == 0


# Django leaves the file that it was spooling to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. .function SpooledTemporaryFile")
@pytest.mark.parametrize("announced", [[], [(b"content-length", b"10")]])
@pytest.mark.parametrize("path", [PATH, "/admin/login/"])
async def test_a_body_that_grows_too_large_is_cut_off(gateway, application, path, announced):
    form = (b"content-type", b"application/x-www-form-urlencoded")
    exchange = Exchange(
        "POST", path, headers=[*LOCAL, form, *announced], chunks=[b"x" * 100] * 1_000
    )
    pages = application._gateway._pages

    await exchange.run(
        Gateway(application.settings.model_copy(update={"max_body_bytes": 1024}), pages)
    )

    assert (exchange.status, exchange.problem["code"]) == (413, "body_too_large")
    assert exchange.received_bytes == 1_100


async def test_a_body_of_exactly_the_cap_is_read(gateway, tenant):
    body = b'{"title": "x"}'.ljust(1024)
    headers = bearer(tenant, JSON, (b"content-length", b"1024"))

    exchange = await Exchange("POST", PATH, headers=headers, chunks=[body[:1000], body[1000:]]).run(
        gateway(max_body_bytes=1024)
    )

    assert exchange.status == 201


@pytest.mark.parametrize("length", [b"-1", b"1e3", b"", b"9" * 30, b"\xb2", b"0x10", b" 5"])
async def test_a_content_length_that_is_no_number_is_refused(application, tenant, length):
    headers = bearer(tenant, JSON, (b"content-length", length))

    exchange = await Exchange("POST", PATH, headers=headers, chunks=[b"{}"]).run(application)

    assert exchange.status == 413
    assert exchange.received_bytes == 0


async def test_a_body_that_is_too_slow_is_cut_off(gateway, tenant):
    exchange = Exchange("POST", PATH, headers=bearer(tenant, JSON), chunks=[b"{"], stalls=True)
    started_at = time.monotonic()

    await exchange.run(gateway(body_timeout_seconds=0.1))

    assert (exchange.status, exchange.problem["code"]) == (408, "request_timeout")
    assert time.monotonic() - started_at < 1


async def test_a_client_that_leaves_in_its_body_is_no_error(application, tenant, log_lines):
    exchange = Exchange("POST", PATH, headers=bearer(tenant, JSON), chunks=[b"{"], stalls=True)
    exchange.disconnected.set()

    await exchange.run(application)

    assert [orjson.loads(line)["status"] for line in log_lines()] == [408]


# Uploads

FORM = (b"content-type", b"multipart/form-data; boundary=x")
UPLOAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%b\r\n--x--\r\n'
UPLOADS = "/api/v1/attachments"


async def test_an_upload_has_a_cap_of_its_own(gateway, tenant):
    caps = gateway(max_body_bytes=1024, max_upload_bytes=10_000)

    def upload(size, content_type=FORM, path=UPLOADS, method="POST"):
        body = UPLOAD % (b"a" * size)
        chunks = [body[:1000], body[1000:]]
        headers = bearer(tenant, content_type)
        return Exchange(method, path, headers=headers, chunks=chunks).run(caps)

    assert (await upload(9_000)).status == 201
    # Cut off as they arrive: no length is announced.
    for refused in (
        await upload(10_000),
        await upload(9_000, JSON),
        await upload(9_000, method="PUT"),
        await upload(9_000, path="/api/admin/v1/tenants"),
    ):
        assert (refused.status, refused.problem["code"]) == (413, "body_too_large")


async def test_an_upload_that_is_too_slow_is_cut_off(gateway, tenant):
    chunks = [UPLOAD[:20]]
    exchange = Exchange("POST", UPLOADS, headers=bearer(tenant, FORM), chunks=chunks, stalls=True)

    await exchange.run(gateway(upload_timeout_seconds=0.1))

    assert (exchange.status, exchange.problem["code"]) == (408, "request_timeout")


@pytest.mark.parametrize("content_type", [b"MultiPart/Form-Data; boundary=x", FORM[1] + b";a=b"])
async def test_a_form_is_known_however_its_type_is_written(application, tenant, content_type):
    headers = bearer(tenant, (b"content-type", content_type))

    exchange = await Exchange("POST", UPLOADS, headers=headers, chunks=[UPLOAD % b"a"]).run(
        application
    )

    assert exchange.status == 201


async def test_an_upload_without_a_key_is_refused_like_all_else(application):
    exchange = await Exchange("POST", UPLOADS, headers=[*LOCAL, FORM], chunks=[UPLOAD % b"a"]).run(
        application
    )

    assert (exchange.status, exchange.problem["code"]) == (401, "unauthenticated")


async def test_a_full_disk_is_said_to_be_full(application, tenant, monkeypatch):
    class Full(tempfile.SpooledTemporaryFile):
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("project.gateway.tempfile.SpooledTemporaryFile", Full)

    exchange = await Exchange(
        "POST", UPLOADS, headers=bearer(tenant, FORM), chunks=[UPLOAD % b"a"]
    ).run(application)

    assert (exchange.status, exchange.problem["code"]) == (507, "storage_full")


async def test_an_upload_leaves_no_temporary_file(application, tenant, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for content in (b"a" * 3_000_000, b"a" * 30_000_000):
        exchange = await Exchange(
            "POST", UPLOADS, headers=bearer(tenant, FORM), chunks=[UPLOAD % content]
        ).run(application)
        assert exchange.status in {201, 413}

    assert list(tmp_path.iterdir()) == []


# Errors


async def test_an_error_is_problem_details_with_a_code(application, tenant):
    exchange = await Exchange("GET", f"{PATH}/conv_x", headers=bearer(tenant)).run(application)

    problem = exchange.problem
    assert problem.pop("request_id")
    assert problem == {
        "type": "about:blank",
        "title": "Not found",
        "status": 404,
        "code": "conversation_not_found",
        "detail": "There is no such conversation.",
    }


@pytest.mark.parametrize("path", ["/api/v1/", "/api/v1/nowhere", "/api/v1/conversations/a/b/c"])
async def test_an_unknown_path_of_the_api_is_a_problem_too(application, tenant, path):
    exchange = await Exchange("GET", path, headers=bearer(tenant)).run(application)

    assert (exchange.status, exchange.problem["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"])
async def test_a_method_that_a_path_does_not_have_is_refused_with_those_it_has(
    application, tenant, method
):
    exchange = await Exchange(method, PATH, headers=bearer(tenant)).run(application)

    assert (exchange.status, exchange.problem["code"]) == (405, "method_not_allowed")
    assert set(exchange.headers["allow"].split(", ")) == {"GET", "POST"}


async def test_a_deletion_is_answered_without_length_and_type(application, tenant):
    started = await Exchange("POST", PATH, headers=bearer(tenant, JSON), chunks=[b"{}"]).run(
        application
    )
    path = f"{PATH}/{orjson.loads(started.body)['id']}"

    exchange = await Exchange("DELETE", path, headers=bearer(tenant)).run(application)

    assert (exchange.status, exchange.body) == (204, b"")
    assert set(exchange.headers) == {"x-request-id"}


# Health


async def test_the_process_says_that_it_lives_to_any_host(application):
    exchange = await Exchange("GET", "/healthz", headers=[]).run(application)

    assert (exchange.status, orjson.loads(exchange.body)) == (200, {"status": "ok"})


async def ask_readiness(application):
    exchange = await Exchange("GET", "/readyz", headers=[]).run(application)
    return exchange.status, orjson.loads(exchange.body)


async def test_the_service_is_ready_and_shows_its_pool(application, tenant):
    status, idle = await ask_readiness(application)
    async with read_session(tenant.ref), read_session(tenant.ref):
        _, busy = await ask_readiness(application)

    assert status == 200
    assert idle == {
        "status": "ready",
        "checks": {"registry": "ok", "database": "ok"},
        "pool": {"size": application.settings.pool_size, "in_use": 0, "waiting": 0},
    }
    assert busy["pool"]["in_use"] == 2


async def test_a_service_that_is_told_to_stop_is_not_ready_but_still_serves(
    application, api, monkeypatch
):
    monkeypatch.setattr(readiness, "draining", True)

    status, content = await ask_readiness(application)

    assert (status, content["status"]) == (503, "draining")
    assert (await api.get("/conversations")).status_code == 200


async def test_a_service_without_its_registry_is_not_ready(application, client, tenant):
    class SilentDirectory:
        async def check(self):
            raise DatabaseUnavailable

        async def find_key(self, _public_id):
            raise DatabaseUnavailable

    directory = get_directory()
    set_directory(SilentDirectory())
    try:
        status, content = await ask_readiness(application)
        answer = await client.get(PATH, headers=tenant.headers)
    finally:
        set_directory(directory)

    assert (status, content["status"]) == (503, "unavailable")
    assert content["checks"] == {"registry": "unavailable", "database": "ok"}
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


@pytest.mark.parametrize(
    "url",
    ["postgresql://nobody:x@/tenantry?host=/nowhere&port=5432", "runtime login, wrong password"],
)
async def test_a_service_without_the_tenants_database_is_not_ready(
    application, client, tenant, url
):
    settings = get_settings()
    if not url.startswith("postgresql"):
        url = settings.runtime_url.get_secret_value().replace("tenantry_runtime:", "nobody:x", 1)
    await engine.dispose_engines()
    engine.configure(settings.model_copy(update={"runtime_url": SecretStr(url)}))
    try:
        status, content = await ask_readiness(application)
        answer = await client.get(PATH, headers=tenant.headers)
    finally:
        await engine.dispose_engines()
        engine.configure(settings)

    assert (status, content["status"]) == (503, "unavailable")
    assert content["checks"] == {"registry": "ok", "database": "unavailable"}
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert (await ask_readiness(application))[0] == 200


async def test_a_service_whose_connections_are_all_at_work_is_ready(application, tenant):
    settings = get_settings()
    await engine.dispose_engines()
    engine.configure(settings.model_copy(update={"pool_size": 1}))
    try:
        async with read_session(tenant.ref):
            status, content = await ask_readiness(application)
    finally:
        await engine.dispose_engines()
        engine.configure(settings)

    assert (status, content["pool"]) == (200, {"size": 1, "in_use": 1, "waiting": 0})


async def test_what_nobody_foresaw_is_a_problem_document_too(client, monkeypatch):
    async def fail(_host):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(get_directory(), "find_host", fail)

    answer = await client.get("/api/v1/conversations", headers={"Host": "x.example.com"})

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert "unforeseen" not in answer.text


# Wires


WIRE = "/openai/v1/conversations"


@pytest.mark.parametrize(
    ("exchange", "status", "code"),
    [
        (Exchange("GET", WIRE, headers=[(b"host", b"evil.example")]), 400, "invalid_host"),
        (Exchange("GET", f"{WIRE}/x", query=b"x=%00"), 400, "invalid_input"),
        (Exchange("POST", WIRE), 401, "unauthenticated"),
        (Exchange("GET", "/openai/v1/nowhere"), 404, "not_found"),
        (Exchange("PUT", WIRE), 405, "method_not_allowed"),
        (
            Exchange("POST", WIRE, headers=[*LOCAL, (b"content-length", b"999999999")]),
            413,
            "body_too_large",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_every_error_below_a_wire_has_its_shape(application, exchange, status, code):
    await exchange.run(application)

    error = orjson.loads(exchange.body)["error"]
    assert (exchange.status, error["code"]) == (status, code)
    assert exchange.headers["content-type"] == "application/json"
    assert exchange.headers["x-request-id"] == error["request_id"]


async def test_a_wires_document_is_a_page(client):
    page = await client.get("/openai/v1/docs")
    document = await client.get("/openai/v1/openapi.json")

    assert (page.status_code, document.status_code) == (200, 200)
    assert "text/html" in page.headers["content-type"]
    assert f"{WIRE}/{{conversation_id}}/items" in document.json()["paths"]
