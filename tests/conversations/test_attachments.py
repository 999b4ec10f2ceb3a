"""Attachments: uploads, downloads, and where their bytes are."""

import asyncio
import hashlib
import secrets
from io import BytesIO

import pytest
from django.conf import settings
from sqlalchemy import text

from conversations import errors, service
from conversations.schemas import NewAttachment
from conversations.settings import get_settings
from tenants.db.unit_of_work import read_session, write_session
from tenants.errors import CommitInDoubt, FileStoreUnavailable
from tenants.files import Content
from tenants.storage import TenantFiles
from tenants.testing import API
from tests.conversations.test_router import start
from tests.project.exchange import LOCAL, Exchange
from tests.tenants.people import join

BOUNDARY = b"----x"


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    """One tenant for this whole file."""
    return await make_tenant()


def folder_of(tenant):
    return settings.TENANTRY.data_dir / "attachments" / tenant.ref.id.hex


def files_of(tenant):
    folder = folder_of(tenant)
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


async def upload(api, content=b"Oslo", name="a.txt", media_type="text/plain", **data):
    return await api.post(
        "/attachments", files={"file": (name, content, media_type)}, data=data or None
    )


async def store(api, *args, **options):
    answer = await upload(api, *args, **options)
    assert answer.status_code == 201, answer.text
    return answer.json()


def form(*parts):
    """The body of a form, written by hand: parts are headers and content."""
    lines = [
        b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; " + headers + b"\r\n\r\n" + content
        for headers, content in parts
    ]
    return b"\r\n".join([*lines, b"--" + BOUNDARY + b"--\r\n"])


async def send_form(api, body, boundary=BOUNDARY):
    content_type = b"multipart/form-data; boundary=" + boundary
    return await api.post("/attachments", content=body, headers={"Content-Type": content_type})


@pytest.mark.parametrize("size", [0, 1, 300_000, 3_000_000])
async def test_a_file_comes_back_to_the_byte(api, tenant, size):
    content = secrets.token_bytes(size)

    stored = await store(api, content, "Bericht.pdf", "application/pdf", user_id="user 7/ü")

    assert stored == {
        "id": stored["id"],
        "conversation_id": None,
        "user_id": "user 7/ü",
        "name": "Bericht.pdf",
        "media_type": "application/pdf",
        "size": size,
        "sha256": hashlib.sha256(content).hexdigest(),
        "created_at": stored["created_at"],
    }
    path = f"/attachments/{stored['id']}"
    assert (await api.get(path)).json() == stored
    answer = await api.get(f"{path}/content")
    assert answer.content == content
    assert answer.headers["content-length"] == str(size)
    on_disk = folder_of(tenant) / stored["id"].removeprefix("att_")
    assert on_disk.read_bytes() == content
    assert (on_disk.stat().st_mode & 0o777, folder_of(tenant).stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )


async def test_a_deleted_file_leaves_nothing(api, tenant):
    path = f"/attachments/{(await store(api))['id']}"

    assert (await api.delete(path)).status_code == 204

    for answer in (await api.get(path), await api.get(f"{path}/content"), await api.delete(path)):
        assert answer.json()["code"] == "attachment_not_found"
    assert path.rpartition("_")[2] not in files_of(tenant)


async def test_a_download_runs_nothing_in_a_browser(api):
    page = b"<script>alert(1)</script>"
    stored = await store(api, page, "x.html", "text/html")

    answer = await api.get(f"/attachments/{stored['id']}/content")

    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["content-disposition"] == 'attachment; filename="x.html"'
    assert "no-store" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    ("given", "kept", "header"),
    [
        ("../../etc/passwd", "passwd", 'attachment; filename="passwd"'),
        ("C:\\Temp\\a.txt", "a.txt", 'attachment; filename="a.txt"'),
        ("Grüße 😀.txt", "Grüße 😀.txt", "attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe%20"),
        ("a\r\nX-Evil: 1.txt", "aX-Evil: 1.txt", 'attachment; filename="aX-Evil: 1.txt"'),
        ("x" * 300 + ".txt", "x" * 251 + ".txt", "attachment; filename="),
    ],
)
async def test_a_name_is_never_a_path_and_never_a_header(api, tenant, given, kept, header):
    escaped = given.encode().replace(b"\\", b"\\\\")
    headers = b'name="file"; filename="' + escaped + b'"\r\nContent-Type: text/plain'
    if "\r" in given:
        headers = b"name=\"file\"; filename*=utf-8''a%0D%0AX-Evil%3A%201.txt"
    answer = await send_form(api, form((headers, b"x")))

    assert answer.status_code == 201, answer.text
    stored = answer.json()
    assert stored["name"] == kept
    answer = await api.get(f"/attachments/{stored['id']}/content")
    assert answer.headers["content-disposition"].startswith(header)
    assert "x-evil" not in answer.headers
    assert stored["id"].removeprefix("att_") in files_of(tenant)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Text/Plain; charset=utf-8", "text/plain"),
        ("", "application/octet-stream"),
        ("image/svg+xml", "image/svg+xml"),
    ],
)
async def test_the_media_type_is_what_the_client_says(api, given, kept):
    headers = b'name="file"; filename="a"' + (
        f"\r\nContent-Type: {given}".encode() if given else b""
    )

    stored = (await send_form(api, form((headers, b"x")))).json()

    assert stored["media_type"] == kept


@pytest.mark.parametrize(
    "media_type", ["text", "text/", "text/plain/x", "te xt/plain", "*/*", "é/x"]
)
async def test_what_is_no_media_type_is_refused(api, media_type, tenant):
    before = files_of(tenant)

    answer = await upload(api, media_type=media_type)

    assert (answer.status_code, answer.json()["code"]) == (415, "attachment_type_refused")
    assert files_of(tenant) == before


async def test_types_and_sizes_are_limited_by_settings(api, monkeypatch, tenant):
    changes = {"attachment_media_types": ["image/*", "application/pdf"], "max_attachment_bytes": 10}
    limited = get_settings().model_copy(update=changes)
    monkeypatch.setattr("conversations.service.attachments.get_settings", lambda: limited)
    before = files_of(tenant)

    refused = [
        await upload(api, b"x" * 10, media_type="text/plain"),
        await upload(api, b"x" * 11, media_type="image/png"),
    ]
    await store(api, b"x" * 10, media_type="image/png")
    await store(api, b"x", media_type="application/pdf")

    assert [(each.status_code, each.json()["code"]) for each in refused] == [
        (415, "attachment_type_refused"),
        (413, "attachment_too_large"),
    ]
    assert len(files_of(tenant) - before) == 2


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([], "file"),
        ([(b'name="file"', b"no file name")], "file"),
        ([(b'name="other"; filename="a"', b"x")], "file"),
        ([(b'name="file"; filename="a"', b"x"), (b'name="role"', b"x")], "role"),
        ([(b'name="file"; filename="a"', b"x"), (b'name="extra"; filename="b"', b"x")], "extra"),
        ([(b'name="file"; filename="a"', b"x")] * 2, "file"),
        ([(b'name="file"; filename="a"', b"x"), (b'name="user_id"', b"x" * 256)], "user_id"),
        ([(b'name="file"; filename="a"', b"x"), (b'name="user_id"', b"")], "user_id"),
    ],
)
async def test_a_form_that_is_not_as_documented_is_refused_and_the_field_is_named(
    api, tenant, parts, field
):
    before = files_of(tenant)

    answer = await send_form(api, form(*parts))

    assert answer.status_code == 422, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert files_of(tenant) == before


async def test_a_nul_in_a_field_is_refused(api, tenant):
    before = files_of(tenant)
    parts = [(b'name="file"; filename="a"', b"x"), (b'name="user_id"', b"a\0b")]

    answer = await send_form(api, form(*parts))

    assert answer.status_code == 422
    assert files_of(tenant) == before


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=" + "x" * 300,
        "multipart/form-data; boundary=x; charset=rot13",
    ],
)
async def test_what_is_no_form_is_refused(api, content_type):
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n'
    answer = await api.post("/attachments", content=body, headers={"Content-Type": content_type})

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_form")


async def test_json_is_no_upload_and_a_form_no_json(api):
    conversation = await start(api)
    answers = [
        await api.post("/conversations", files={"file": ("a", b"x" * 2_000_000)}),
        await api.patch(f"/conversations/{conversation['id']}", files={"file": ("a", b"x")}),
    ]
    assert [answer.json()["code"] for answer in answers] == ["unsupported_media_type"] * 2

    assert (await api.post("/attachments", json={"file": "x"})).status_code == 422


async def test_an_upload_of_a_conversation_is_hidden_with_it(api):
    conversation = await start(api)
    stored = await store(api, conversation_id=conversation["id"])
    assert stored["conversation_id"] == conversation["id"]
    path = f"/attachments/{stored['id']}"

    await api.delete(f"/conversations/{conversation['id']}")

    for answer in (await api.get(path), await api.get(f"{path}/content"), await api.delete(path)):
        assert answer.status_code == 404
    await api.post(f"/conversations/{conversation['id']}/restore")
    assert (await api.get(f"{path}/content")).content == b"Oslo"


async def test_an_upload_for_no_conversation_of_ours_leaves_nothing(
    api, client, make_tenant, tenant
):
    stranger = await make_tenant()
    theirs = (await client.post(f"{API}/conversations", json={}, headers=stranger.headers)).json()
    deleted = await start(api)
    await api.delete(f"/conversations/{deleted['id']}")
    before = files_of(tenant)

    for conversation in (theirs["id"], deleted["id"], f"conv_{'0' * 32}", "x"):
        answer = await upload(api, conversation_id=conversation)
        assert (answer.status_code, answer.json()["code"]) == (404, "conversation_not_found")

    assert files_of(tenant) == before


async def test_a_file_under_legal_hold_is_not_deleted(api):
    conversation = await start(api, legal_hold=True)
    path = f"/attachments/{(await store(api, conversation_id=conversation['id']))['id']}"

    answer = await api.delete(path)

    assert (answer.status_code, answer.json()["code"]) == (409, "legal_hold")
    assert (await api.get(f"{path}/content")).content == b"Oslo"


async def test_another_tenant_gets_no_byte(api, client, make_tenant):
    stored = await store(api, b"secret")
    stranger = await make_tenant()

    for path in (stored["id"], f"{stored['id']}/content"):
        answer = await client.get(f"{API}/attachments/{path}", headers=stranger.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "attachment_not_found")


async def test_a_signed_in_member_uploads_with_all_fields(client, tenant):
    person = await join(tenant)

    async def send(headers):
        files = {"file": ("a.txt", b"Oslo", "text/plain")}
        data = {"user_id": "user-7"}
        return await client.post(f"{API}/attachments", files=files, data=data, headers=headers)

    answer = await send(person.headers(tenant))
    assert (answer.status_code, answer.json()["user_id"]) == (201, "user-7")
    answer = await send(person.cookies | {"X-Tenant": tenant.slug})
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_failed")


async def test_bytes_that_are_missing_are_not_found(api, tenant):
    stored = await store(api)
    (folder_of(tenant) / stored["id"].removeprefix("att_")).unlink()

    answer = await api.get(f"/attachments/{stored['id']}/content")

    assert (answer.status_code, answer.json()["code"]) == (404, "attachment_not_found")
    assert (await api.delete(f"/attachments/{stored['id']}")).status_code == 204


async def test_a_storage_that_fails_is_answered_with_503(api, tenant, monkeypatch):
    stored = await store(api)
    before = files_of(tenant)
    broken = monkeypatch.context()
    with broken as patch:
        for name in ("open", "save", "delete"):
            patch.setattr(f"tenants.storage.DiskStorage.{name}", _fail)
        answers = [
            await upload(api),
            await api.get(f"/attachments/{stored['id']}/content"),
            await api.delete(f"/attachments/{stored['id']}"),
        ]

    assert {(each.status_code, each.json()["code"]) for each in answers} == {
        (503, "storage_unavailable")
    }
    assert files_of(tenant) == before
    assert (await api.get(f"/attachments/{stored['id']}/content")).content == b"Oslo"


def _fail(*_args, **_options):
    raise PermissionError


class CountedFiles(TenantFiles):
    """Says what was saved."""

    saved = ""

    async def save(self, name, content):
        self.saved = await super().save(name, content)
        return self.saved


@pytest.mark.parametrize(("failure", "is_kept"), [(RuntimeError(), False), (CommitInDoubt(), True)])
async def test_bytes_whose_row_failed_are_removed_unless_it_may_be_there(tenant, failure, is_kept):
    files, content = CountedFiles(tenant.ref), Content(BytesIO(b"x"), 1)

    async def fail_late():
        async with (
            service.keep_upload(files, content, "a", "text/plain", NewAttachment()) as write,
            write_session(tenant.ref) as session,
        ):
            await write(session)
            raise failure

    with pytest.raises(type(failure)):
        await fail_late()

    assert (files.saved in files_of(tenant)) is is_kept


async def test_bytes_without_a_row_are_not_kept(tenant):
    files, content = CountedFiles(tenant.ref), Content(BytesIO(b"x"), 1)

    async with service.keep_upload(files, content, "a", "text/plain", NewAttachment()):
        assert files.saved in files_of(tenant)

    assert files.saved not in files_of(tenant)


async def test_a_name_of_another_folder_is_refused(tenant):
    for name in ("../x", "a/b", "", ".", "..", "a.b", "a\0"):
        with pytest.raises(ValueError, match="is no name"):
            await TenantFiles(tenant.ref).delete(name)


async def test_only_attachments_of_this_tenant_may_be_named(api, client, make_tenant, tenant):
    ours = [(await store(api))["id"] for _ in range(2)]
    stranger = await make_tenant()
    answer = await client.post(
        f"{API}/attachments", files={"file": ("a", b"x")}, headers=stranger.headers
    )
    theirs = answer.json()["id"]

    async with read_session(tenant.ref) as session:
        await service.check_attachments(session, [])
        await service.check_attachments(session, [*ours, ours[0]])
        for wrong in (theirs, f"att_{'0' * 32}", "x"):
            with pytest.raises(errors.UnknownAttachment):
                await service.check_attachments(session, [*ours, wrong])


async def test_an_upload_over_the_cap_is_cut_off_and_one_beyond_the_json_cap_is_not(
    application, tenant
):
    cap = application.settings.max_upload_bytes
    assert cap > get_settings().max_attachment_bytes > application.settings.max_body_bytes

    def exchange(size, announced=None):
        headers = [
            *LOCAL,
            (b"authorization", tenant.headers["Authorization"].encode()),
            (b"content-type", b"multipart/form-data; boundary=" + BOUNDARY),
        ]
        if announced is not None:
            headers.append((b"content-length", str(announced).encode()))
        body = form((b'name="file"; filename="a"', b"x" * size))
        chunks = [body[start : start + 65536] for start in range(0, len(body), 65536)]
        return Exchange("POST", f"{API}/attachments", headers=headers, chunks=chunks)

    refused = await exchange(10, announced=cap + 1).run(application)
    assert (refused.status, refused.received_bytes) == (413, 0)
    refused = await exchange(cap + 100_000).run(application)
    assert (refused.status, refused.problem["code"]) == (413, "body_too_large")
    taken = await exchange(get_settings().max_attachment_bytes).run(application)
    assert taken.status == 201


async def test_a_large_upload_does_not_hold_up_others(api, client):
    content = secrets.token_bytes(20_000_000)
    task = asyncio.create_task(upload(api, content))
    longest, last = 0.0, asyncio.get_running_loop().time()
    while not task.done():
        await asyncio.sleep(0.005)
        now = asyncio.get_running_loop().time()
        longest, last = max(longest, now - last), now

    assert task.result().status_code == 201
    # httpx itself takes a while to put such a form together; what remains is far below a second.
    assert longest < 0.5


async def test_rows_name_the_bytes(api, tenant):
    stored = await store(api)

    async with read_session(tenant.ref) as session:
        names = await session.scalars(text("SELECT storage_name FROM attachments"))
        assert stored["id"].removeprefix("att_") in set(names)
    assert FileStoreUnavailable.status == 503
