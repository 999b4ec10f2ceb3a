"""What a process knows of keys and hosts, and how fast it learns that this has changed."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from tenants import directory, lifecycle
from tenants.apps import get_settings
from tenants.directory import Directory
from tenants.errors import DatabaseUnavailable
from tenants.keys import find_public_id
from tenants.models import ApiKey, Domain, RegistryVersion
from tenants.testing import TESTER
from tests.tenants.relay import open_relay


@pytest.fixture
async def start_directory(application):
    """Start what another process would have: `await start_directory(registry_url=...)`."""
    started = []

    async def start(**changes):
        process = Directory(get_settings().model_copy(update=changes))
        started.append(process)
        await process.start()
        return process

    yield start
    for process in started:
        await process.stop()


@pytest.fixture
async def relay(application):
    """The network between a directory and its registry."""
    async with open_relay(get_settings().registry_url.get_secret_value()) as relay:
        yield relay


@pytest.fixture
async def watched(start_directory, relay):
    """A directory behind `relay`, that trusts what it knows for 0.3 seconds."""
    return await start_directory(
        registry_url=SecretStr(relay.url),
        registry_trust_seconds=0.3,
        registry_poll_interval_seconds=0.05,
    )


async def true_within(seconds, condition):
    """Whether an async condition comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if await condition():
            return True
        await asyncio.sleep(0.01)
    return False


def public_id_of(tenant):
    return find_public_id(tenant.key)


# What is found


async def test_a_key_is_found_with_its_tenant_and_scopes(tenant, start_directory):
    process = await start_directory()
    for _ in range(2):
        entry = await process.find_key(public_id_of(tenant))
        assert entry.tenant.ref == tenant.ref
        assert type(entry.tenant.ref.id) is type(tenant.ref.id)
        assert entry.tenant.status == "active"
        assert entry.scopes == {"read", "write"}
        assert entry.revoked_at is None
        assert len(entry.secret_hash) == 32


async def test_an_unknown_key_is_none_until_it_exists(tenant, start_directory):
    process = await start_directory()
    assert await process.find_key("unknownunkno") is None
    await ApiKey.objects.filter(public_id=public_id_of(tenant)).aupdate(public_id="unknownunkno")
    assert (await process.find_key("unknownunkno")).tenant.ref == tenant.ref


async def test_a_host_is_the_slug_under_the_base_domain_or_a_domain(tenant, start_directory):
    process = await start_directory()
    host = f"chat.{tenant.slug}.example.com"
    assert await process.find_host(host) is None
    domain = await Domain.objects.acreate(host=host, tenant=tenant.row)
    assert await process.find_host(host) is None  # Anybody may claim it.
    await Domain.objects.filter(pk=domain.pk).aupdate(verified_at=datetime.now(UTC))
    for name in (host, f"{tenant.slug}.localhost"):
        assert (await process.find_host(name)).ref == tenant.ref
    for name in (
        tenant.slug,
        f"{tenant.slug}.example.com",
        f"www.{tenant.slug}.localhost",
        f"{tenant.slug}.localhost.",
        "unknown.localhost",
        ".localhost",
        "",
    ):
        assert await process.find_host(name) is None


async def test_what_is_known_is_not_asked_for_again(tenant, watched, relay):
    entry = await watched.find_key(public_id_of(tenant))
    relay.hold(public_id_of(tenant))  # The answer to a second look-up would not come.
    assert await watched.find_key(public_id_of(tenant)) is entry
    relay.release()


# What has changed


async def revoke(tenant):
    await lifecycle.revoke_key(tenant.slug, public_id_of(tenant), by=TESTER)


async def suspend(tenant):
    await lifecycle.suspend_tenant(tenant.slug, by=TESTER)


async def delete(tenant):
    await lifecycle.delete_tenant(tenant.slug, by=TESTER)


async def disable_sample(tenant):
    await lifecycle.disable_module(tenant.slug, "sample", by=TESTER)


async def narrow_scopes(tenant):
    await ApiKey.objects.filter(public_id=public_id_of(tenant)).aupdate(scopes=["read"])


async def let_expire(tenant):
    past = datetime.now(UTC) - timedelta(seconds=1)
    await ApiKey.objects.filter(public_id=public_id_of(tenant)).aupdate(expires_at=past)


async def remove_key(tenant):
    await ApiKey.objects.filter(public_id=public_id_of(tenant)).adelete()


@pytest.mark.parametrize(
    ("change", "is_known"),
    [
        (revoke, lambda entry: entry.revoked_at is not None),
        (suspend, lambda entry: entry.tenant.status == "suspended"),
        (delete, lambda entry: entry.tenant.status == "deleting"),
        (disable_sample, lambda entry: "sample" not in entry.tenant.ref.modules),
        (narrow_scopes, lambda entry: entry.scopes == {"read"}),
        (let_expire, lambda entry: entry.expires_at is not None),
        (remove_key, lambda entry: entry is None),
    ],
    ids=lambda value: value.__name__.strip("<>") if value.__name__ != "<lambda>" else "",
)
async def test_a_change_is_known_to_every_process_within_a_second(
    tenant, start_directory, change, is_known
):
    processes = [await start_directory(), await start_directory()]
    for process in processes:
        entry = await process.find_key(public_id_of(tenant))
        assert entry is not None
        assert entry.revoked_at is None

    await change(tenant)
    committed_at = time.monotonic()

    for process in processes:

        async def knows(process=process):
            return is_known(await process.find_key(public_id_of(tenant)))

        assert await true_within(1.0, knows)
    assert time.monotonic() - committed_at < 1.0


async def test_a_host_that_is_taken_away_is_unknown_to_every_process_within_a_second(
    tenant, start_directory
):
    processes = [await start_directory(), await start_directory()]
    host = f"{tenant.slug}.example.com"
    domain = await Domain.objects.acreate(
        host=host, tenant=tenant.row, verified_at=datetime.now(UTC)
    )
    hosts = (host, f"{tenant.slug}.localhost")
    for process in processes:
        assert [(await process.find_host(name)).ref for name in hosts] == [tenant.ref] * 2

    await domain.adelete()
    await lifecycle.change_tenant(tenant.slug, new_slug=f"{tenant.slug}x", by=TESTER)

    async def all_forgot():
        found = [await process.find_host(name) for process in processes for name in hosts]
        return found == [None] * 4

    assert await true_within(1.0, all_forgot)
    for process in processes:
        assert (await process.find_host(f"{tenant.slug}x.localhost")).ref.id == tenant.ref.id


async def test_the_version_counts_what_processes_keep_and_nothing_else(make_tenant):
    async def version():
        return (await RegistryVersion.objects.aget()).version

    before = await version()
    tenant = await make_tenant()
    key = await ApiKey.objects.aget(public_id=public_id_of(tenant))
    onboarded = await version()
    assert onboarded - before == 1  # It became active.
    await ApiKey.objects.filter(pk=key.pk).aupdate(last_used_at=datetime.now(UTC))
    await lifecycle.issue_key(tenant.slug, "Another", by=TESTER)
    await Domain.objects.acreate(host=f"{tenant.slug}.example.org", tenant=tenant.row)
    assert await version() == onboarded
    await ApiKey.objects.filter(pk=key.pk).aupdate(revoked_at=datetime.now(UTC))
    assert await version() == onboarded + 1


async def test_a_look_up_that_was_overtaken_by_a_revocation_is_not_kept(tenant, watched, relay):
    """The registry answers before the revocation, the answer arrives after the poll's."""
    public_id = public_id_of(tenant)
    relay.hold(public_id)
    look_up = asyncio.create_task(watched.find_key(public_id))
    await asyncio.sleep(0.05)
    await revoke(tenant)
    await asyncio.sleep(0.15)  # Three polls: the new version has been seen.
    assert not look_up.done()
    relay.release()

    assert (await look_up).revoked_at is None  # Asked before, answered as of then.
    assert (await watched.find_key(public_id)).revoked_at is not None


# When the registry does not answer


async def test_a_silent_registry_is_distrusted_within_the_time_of_trust(tenant, watched, relay):
    public_id = public_id_of(tenant)
    assert await watched.find_key(public_id) is not None
    relay.freeze()
    frozen_at = last_answer_at = time.monotonic()
    with contextlib.suppress(DatabaseUnavailable):
        while last_answer_at < frozen_at + 1:
            assert await watched.find_key(public_id) is not None
            last_answer_at = time.monotonic()
            await asyncio.sleep(0.01)
    assert last_answer_at - frozen_at <= 0.3 + 0.05
    # Then a request waits for one poll, and not for ever.
    assert time.monotonic() - last_answer_at < 1.0
    with pytest.raises(DatabaseUnavailable):
        await watched.check()


async def test_a_registry_that_answers_again_is_trusted_again(tenant, watched, relay):
    public_id = public_id_of(tenant)
    await watched.find_key(public_id)
    relay.freeze()

    async def is_distrusted():
        try:
            await watched.check()
        except DatabaseUnavailable:
            return True
        return False

    assert await true_within(2, is_distrusted)
    await revoke(tenant)
    relay.thaw()

    async def is_trusted():
        return not await is_distrusted()

    assert await true_within(2, is_trusted)
    assert (await watched.find_key(public_id)).revoked_at is not None


async def test_requests_that_wait_for_a_silent_registry_wait_together(
    tenant, watched, relay, monkeypatch
):
    polls, poll = [], watched._poll

    async def counted():
        polls.append(time.monotonic())
        await poll()

    monkeypatch.setattr(watched, "_poll", counted)
    relay.freeze()
    await asyncio.sleep(0.35)
    started_at = time.monotonic()
    outcomes = await asyncio.gather(
        *(watched.find_key(public_id_of(tenant)) for _ in range(50)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {DatabaseUnavailable}
    assert time.monotonic() - started_at < 1.0
    assert len([poll for poll in polls if poll >= started_at]) < 5


async def test_a_client_that_leaves_does_not_end_the_poll_that_others_wait_for(
    tenant, watched, relay
):
    relay.freeze()
    await asyncio.sleep(0.35)
    first, second = (asyncio.create_task(watched.check()) for _ in range(2))
    await asyncio.sleep(0.05)
    first.cancel()
    relay.thaw()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second


async def test_a_registry_without_its_version_row_is_not_trusted(start_directory, monkeypatch):
    """No version would mean that no change is ever noticed."""
    monkeypatch.setattr(
        directory, "_VERSION", directory.text("SELECT version FROM tenants_registryversion LIMIT 0")
    )
    with pytest.raises(DatabaseUnavailable):
        await start_directory()


async def test_a_process_does_not_start_without_the_registry(start_directory, tmp_path):
    url = make_url(get_settings().registry_url.get_secret_value())
    nowhere = url.update_query_dict({"host": str(tmp_path)}).render_as_string(hide_password=False)
    with pytest.raises(DatabaseUnavailable):
        await start_directory(registry_url=SecretStr(nowhere))


# When a key was used last


@sync_to_async
def last_use(tenant):
    return ApiKey.objects.get(public_id=public_id_of(tenant)).last_used_at


async def test_the_last_use_of_a_key_is_written_down_now_and_then(
    tenant, start_directory, monkeypatch
):
    monkeypatch.setattr(directory, "_LAST_USED_FLUSH_SECONDS", 0.01)
    process = await start_directory(registry_poll_interval_seconds=0.02)
    process.note_use(public_id_of(tenant))
    used_at = datetime.now(UTC)

    async def is_written():
        return await last_use(tenant) is not None

    assert await true_within(1, is_written)
    assert abs(await last_use(tenant) - used_at) < timedelta(seconds=1)


async def test_the_last_uses_are_written_down_at_the_end(tenant, start_directory):
    process = await start_directory()
    process.note_use(public_id_of(tenant))
    process.note_use("unknownunkno")
    assert await last_use(tenant) is None
    await process.stop()
    assert await last_use(tenant) is not None


async def test_an_earlier_use_does_not_replace_a_later_one(tenant, start_directory):
    process = await start_directory()
    later = datetime.now(UTC) + timedelta(hours=1)
    await ApiKey.objects.filter(public_id=public_id_of(tenant)).aupdate(last_used_at=later)
    process.note_use(public_id_of(tenant))
    await process.stop()
    assert await last_use(tenant) == later
