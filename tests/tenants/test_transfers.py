"""`tenants export` and `tenants import`: a tenant's data as a file, and back."""

import asyncio
import json
import stat

import pytest

from conversations.service.imports import running
from tenants.lifecycle import transfers
from tenants.management.output import CONFLICT, FAILED, MISSING, USAGE
from tenants.models import AuditEntry, Tenant
from tenants.module import Transfer
from tenants.testing import API, connect
from tests.conversations.test_router import append, calling, log_of, output, read, start, user
from tests.tenants.test_commands import call, plain_streams  # noqa: F401  # A fixture.
from tests.tenants.throwaway import make_module


@pytest.fixture
def run(application):
    async def run(*arguments):
        return await asyncio.to_thread(call, *arguments)

    return run


@pytest.fixture
async def tenants(run, make_tenant):
    """A tenant that has conversations, and one that has none."""
    return await make_tenant(), await make_tenant()


@pytest.fixture
async def client(application):
    def client(tenant):
        return connect(application, base_url=f"http://localhost{API}", tenant=tenant)

    return client


async def fill(api):
    """A conversation with a call that is answered two messages later."""
    conversation = await start(api, user_id="ann", messages=[user(f"text {n}") for n in range(4)])
    await append(api, conversation, calling("call_1"))
    await append(api, conversation, output("call_1", "12 °C"), user("thanks"))
    await api.patch(f"/conversations/{conversation['id']}", json={"read_seq": 6})
    return conversation


def records(text):
    return [json.loads(line) for line in text.splitlines()]


async def test_the_data_goes_to_standard_output_as_the_api_has_it(run, tenants, client):
    tenant, _ = tenants
    async with client(tenant) as api:
        await fill(api)
        answer = await api.get("/export")

    result = await run("tenants", "export", tenant.slug)

    assert (result.code, result.err) == (0, "")
    exported, expected = records(result.out), records(answer.text)
    assert exported[0].pop("exported_at") >= expected[0].pop("exported_at")
    assert exported == expected
    assert exported[-1]["type"] == "end"


async def test_a_file_makes_the_same_of_another_tenant_once(run, tenants, client, tmp_path):
    (one, other), file = tenants, tmp_path / "one.jsonl"
    async with client(one) as api:
        await fill(api)

    exported = await run("tenants", "export", one.slug, "--output", str(file), "--json")
    first = await run("tenants", "import", other.slug, str(file), "--json")
    again = await run("tenants", "import", other.slug, str(file), "--json")

    assert exported.json == {"slug": one.slug, "file": str(file), "bytes": file.stat().st_size}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    assert (first.code, again.code) == (0, 0)
    assert first.json["complete"] is again.json["complete"] is True
    assert first.json["messages"] == {"imported": 7, "already_there": 0}
    assert again.json["messages"] == {"imported": 0, "already_there": 7}
    async with client(other) as api:
        (head,) = (await read(api, "/conversations"))["data"]
        assert (head["user_id"], head["read_seq"], head["last_seq"]) == ("ann", 6, 7)
    actions = [
        (entry.action, entry.target)
        async for entry in AuditEntry.objects.filter(
            tenant_slug=other.slug, action__contains="port"
        )
    ]
    assert actions == [("tenant.imported", "conversations")] * 2
    assert await AuditEntry.objects.filter(tenant_slug=one.slug, action="tenant.exported").aexists()


@pytest.mark.parametrize("most", [1, 2, 3, 6, 7])
async def test_no_more_of_a_conversation_are_written_at_once_than_are_held(
    run,
    tenants,
    client,
    tmp_path,
    monkeypatch,
    most,
):
    (one, other), file = tenants, tmp_path / "one.jsonl"
    async with client(one) as api:
        source = await log_of(api, await fill(api), limit=100)
    await run("tenants", "export", one.slug, "--output", str(file))
    monkeypatch.setattr(running, "_MOST_MESSAGES", most)
    real, sizes = running.carry, []

    async def measure(session, draft):
        sizes.append(len(draft.messages))
        return await real(session, draft)

    monkeypatch.setattr(running, "carry", measure)

    result = await run("tenants", "import", other.slug, str(file), "--json")

    assert result.code == 0, result.err
    assert (max(sizes), sum(sizes)) == (most, 7)
    assert result.json["conversations"] == {"imported": 1, "already_there": 0}
    async with client(other) as api:
        (head,) = (await read(api, "/conversations"))["data"]
        log = await log_of(api, head, limit=100)
    assert (head["read_seq"], head["message_count"], head["tool_call_count"]) == (6, 7, 1)
    assert [each["content"] for each in log] == [each["content"] for each in source]
    assert [call["status"] for each in log for call in each["tool_calls"]] == ["succeeded"]


async def test_a_file_that_is_cut_or_has_bad_lines_is_imported_as_far_as_it_goes(
    run,
    tenants,
    client,
    tmp_path,
):
    (one, other), file = tenants, tmp_path / "cut.jsonl"
    async with client(one) as api:
        await fill(api)
    lines = (await run("tenants", "export", one.slug)).out.splitlines()
    file.write_text("\n".join([*lines[:2], "{}", *lines[2:-1]]))

    result = await run("tenants", "import", other.slug, str(file))

    assert result.code == FAILED
    facts = dict(line.split(maxsplit=1) for line in result.out.splitlines())
    assert (facts["messages.imported"], facts["skipped"], facts["complete"]) == ("7", "1", "no")
    assert "line 3: " in result.err
    assert "The file was cut" in result.err


async def test_what_is_no_export_is_refused(run, tenants, tmp_path):
    file = tmp_path / "other.jsonl"
    file.write_text('{"type": "header", "format": "tenantry", "version": 99}\n')

    result = await run("tenants", "import", tenants[0].slug, str(file))

    assert result.code == USAGE
    assert "Line 1 is no header that is known" in result.err


async def test_files_that_are_there_or_are_not_are_named(run, tenants, tmp_path):
    slug, missing = tenants[0].slug, tmp_path / "missing"
    there = await run("tenants", "export", slug, "--output", str(tmp_path))
    nowhere = await run("tenants", "export", slug, "--output", str(missing / "x"))
    unread = await run("tenants", "import", slug, str(missing))

    assert (there.code, nowhere.code, unread.code) == (USAGE, FAILED, USAGE)
    assert there.err == f"error: {tmp_path} is there already; name a file that isn't.\n"
    assert nowhere.err == f"error: {missing}/x can't be written: No such file or directory.\n"
    assert unread.err == f"error: {missing} can't be read: No such file or directory.\n"
    assert list(tmp_path.iterdir()) == []


async def test_an_export_that_fails_leaves_no_file(run, tenants, tmp_path, monkeypatch):
    async def write(tenant):
        yield b"{}\n"
        raise transfers.errors.ConnectionLost

    async def read(tenant, lines):
        raise AssertionError

    module = make_module(
        tmp_path / "modules", "conversations", transfer=Transfer(write=write, read=read)
    )
    monkeypatch.setattr(transfers, "get_modules", lambda: (module,))
    folder = tmp_path / "out"
    folder.mkdir()

    result = await run("tenants", "export", tenants[0].slug, "--output", str(folder / "x"))

    assert result.code == FAILED
    assert list(folder.iterdir()) == []


async def test_tenants_and_modules_that_can_not_be_exported(
    run,
    tenants,
    tmp_path,
    monkeypatch,
):
    slug = tenants[0].slug
    assert (await run("tenants", "export", "nobody")).code == MISSING
    unknown = await run("tenants", "export", slug, "--module", "nothing")
    assert (unknown.code, "There is no module `nothing`" in unknown.err) == (USAGE, True)
    sample = await run("tenants", "export", slug, "--module", "sample")
    assert sample.code == USAGE
    assert sample.err == "error: The module `sample` can't be exported or imported.\n"

    transfer = transfers.get_module("conversations").transfer
    several = [make_module(tmp_path, name, transfer=transfer) for name in ("one", "two")]
    monkeypatch.setattr(transfers, "get_modules", lambda: several)
    choice = await run("tenants", "export", slug)
    assert (choice.code, choice.err) == (
        USAGE,
        "error: Say which module, with --module: one, two.\n",
    )
    monkeypatch.setattr(transfers, "get_modules", lambda: several[:1])
    lacking = await run("tenants", "export", slug)
    assert lacking.code == CONFLICT
    assert lacking.err == f"error: The tenant `{slug}` has not got the module `one`.\n"

    await Tenant.objects.filter(slug=slug).aupdate(status="deleting")
    assert (await run("tenants", "export", slug, "--module", "conversations")).code == CONFLICT
