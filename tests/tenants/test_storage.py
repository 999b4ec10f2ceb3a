"""Files of tenants, in a folder, in memory, and in a store that speaks S3's protocol."""

import errno
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from django.core.files.storage.handler import StorageHandler

from tenants.errors import FileStoreUnavailable, StorageFull
from tenants.files import Content
from tenants.ids import new_id
from tenants.storage import PART_BYTES, TenantFiles
from tenants.tenant import TenantRef

OURS, THEIRS = TenantRef(new_id(), "ours"), TenantRef(new_id(), "theirs")


class Bucket(BaseHTTPRequestHandler):
    """As much of S3 as Django's storage asks for. Source: the S3 API reference."""

    objects: dict[str, bytes]

    def _key(self):
        return unquote(urlsplit(self.path).path).removeprefix("/files/")

    def _answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("ETag", '"x"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "chunked" in self.headers.get("Content-Encoding", ""):
            size, _, rest = body.partition(b"\r\n")
            body = rest[: int(size.split(b";")[0], 16)]
        self.objects[self._key()] = body
        self._answer(200)

    def do_GET(self):
        query = parse_qs(urlsplit(self.path).query)
        if "prefix" in query:
            found = [key for key in self.objects if key.startswith(query["prefix"][0])]
            rows = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in found)
            self._answer(200, f"<ListBucketResult>{rows}</ListBucketResult>".encode())
        elif self._key() in self.objects:
            self._answer(200, self.objects[self._key()])
        else:
            self._answer(404)

    do_HEAD = do_GET  # noqa: N815

    def do_DELETE(self):
        self.objects.pop(self._key(), None)
        self._answer(204)

    def log_message(self, *_):
        pass


@pytest.fixture
def bucket():
    """The address of a server with an empty bucket `files`."""
    handler = type("EmptyBucket", (Bucket,), {"objects": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(params=["disk", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def storage(request, monkeypatch, tmp_path):
    """One kind of storage, in the place of the service's."""
    kinds = {
        "disk": ("tenants.storage.DiskStorage", {"location": tmp_path}),
        "memory": ("django.core.files.storage.InMemoryStorage", {}),
        "s3": (
            "storages.backends.s3.S3Storage",
            {"bucket_name": "files", "access_key": "a", "secret_key": "b", "region_name": "x"},
        ),
    }
    backend, options = kinds[request.param]
    if request.param == "s3":
        options |= {"endpoint_url": request.getfixturevalue("bucket")}
    handler = StorageHandler({"tenants": {"BACKEND": backend, "OPTIONS": options}})
    monkeypatch.setattr("tenants.storage.storages", handler)
    return handler["tenants"]


def content(text):
    return Content(BytesIO(text), len(text))


async def read(tenant, name):
    parts = await TenantFiles(tenant).open(name)
    return None if parts is None else b"".join([part async for part in parts])


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, 3 * PART_BYTES + 1])
async def test_bytes_come_back_as_they_were(storage, size):
    text = b"x" * size

    name = await TenantFiles(OURS).save("name-1", content(text))

    assert name == "name-1"
    assert await read(OURS, "name-1") == text
    assert await read(THEIRS, "name-1") is None
    assert await TenantFiles(OURS).list_names() == ["name-1"]


async def test_the_beginning_is_kept_of_what_has_been_read_before(storage):
    upload = content(b"whole")
    upload.file.read()

    await TenantFiles(OURS).save("name", upload)

    assert await read(OURS, "name") == b"whole"


async def test_the_same_name_in_two_tenants_is_two_files(storage):
    for tenant in (OURS, THEIRS):
        await TenantFiles(tenant).save("name", content(tenant.slug.encode()))

    await TenantFiles(OURS).delete("name")

    assert (await read(OURS, "name"), await read(THEIRS, "name")) == (None, b"theirs")


async def test_what_is_not_there_is_deleted_already(storage):
    files = TenantFiles(OURS)

    await files.delete("nothing")
    await files.delete_all()

    assert (await files.list_names(), await read(OURS, "nothing")) == ([], None)


async def test_all_files_of_a_tenant_go_and_no_others(storage):
    for tenant in (OURS, THEIRS):
        for name in ("a", "b", "c"):
            await TenantFiles(tenant).save(name, content(b"x"))

    await TenantFiles(OURS).delete_all()

    assert await TenantFiles(OURS).list_names() == []
    assert sorted(await TenantFiles(THEIRS).list_names()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (OSError(errno.ENOSPC, "full"), StorageFull),
        (OSError(errno.EDQUOT, "full"), StorageFull),
        (PermissionError(), FileStoreUnavailable),
        (RuntimeError(), FileStoreUnavailable),
    ],
)
async def test_whatever_a_storage_raises_is_one_of_two_errors(storage, monkeypatch, raised, error):
    def fail(*_arguments, **_options):
        raise raised

    for method in ("save", "open", "delete", "listdir"):
        monkeypatch.setattr(storage, method, fail)
    files = TenantFiles(OURS)

    for call in (files.save("a", content(b"x")), files.open("a"), files.delete("a")):
        with pytest.raises(error):
            await call
    with pytest.raises(error):
        await files.list_names()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "a.b", "a\0", "é", "x" * 101])
async def test_no_name_leads_out_of_the_folder(storage, name):
    files = TenantFiles(OURS)
    for call in (files.save(name, content(b"x")), files.open(name), files.delete(name)):
        with pytest.raises(ValueError, match="is no name"):
            await call
