"""The audit log: everything that is done stands in it, and nothing in it can be undone."""

import asyncio
import secrets
from datetime import timedelta

import asyncpg
import orjson
import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import ProgrammingError, connection, transaction

from tenants import audit, errors, lifecycle
from tenants.actor import Actor, ActorKind, acting_command
from tenants.apps import get_settings
from tenants.models import ApiKey, AuditEntry, Membership
from tenants.testing import TESTER, onboard

BY = Actor(ActorKind.OPERATOR, "abc", "A key", address="192.0.2.7", request_id="r1")


@pytest.fixture
def tenant(bare_tenant):
    return bare_tenant


async def entries_of(tenant):
    return [entry async for entry in AuditEntry.objects.filter(tenant_id=tenant.ref.id)]


async def newest(tenant):
    return (await lifecycle.list_audit(tenant=tenant.slug, limit=1))[0]


async def first_key(tenant):
    return (await ApiKey.objects.filter(tenant=tenant.row).alast()).public_id


async def do_change(tenant):
    await lifecycle.change_tenant(tenant.slug, name="New", limits={"domains": 1}, by=BY)
    return "tenant.changed", "", {"name": [tenant.row.name, "New"], "limits": [{}, {"domains": 1}]}


async def do_suspend(tenant):
    await lifecycle.suspend_tenant(tenant.slug, by=BY)
    return "tenant.suspended", "", {"status": ["active", "suspended"]}


async def do_resume(tenant):
    await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
    await lifecycle.resume_tenant(tenant.slug, by=BY)
    return "tenant.resumed", "", {"status": ["suspended", "active"]}


async def do_delete(tenant):
    await lifecycle.delete_tenant(tenant.slug, by=BY)
    return "tenant.deleted", "", {"status": ["active", "deleting"]}


async def do_erase(tenant):
    await lifecycle.delete_tenant(tenant.slug, by=TESTER)
    await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=BY)
    return "tenant.erased", "", {"name": tenant.row.name}


async def do_disable(tenant):
    for name in ("conversations", "sample"):
        await lifecycle.enable_module(tenant.slug, name, by=TESTER)
    await lifecycle.disable_module(tenant.slug, "sample", by=BY)
    return (
        "module.disabled",
        "sample",
        {"modules": [["conversations", "sample"], ["conversations"]]},
    )


async def do_enable(tenant):
    await lifecycle.enable_module(tenant.slug, "conversations", by=TESTER)
    await lifecycle.enable_module(tenant.slug, "sample", by=BY)
    return (
        "module.enabled",
        "sample",
        {"modules": [["conversations"], ["conversations", "sample"]]},
    )


async def do_issue(tenant):
    issued = await lifecycle.issue_key(tenant.slug, "App", ["read"], by=BY)
    return "key.issued", issued.row.public_id, {"name": "App", "scopes": ["read"]}


async def do_rotate(tenant):
    old = await first_key(tenant)
    issued = await lifecycle.rotate_key(tenant.slug, old, timedelta(0), by=BY)
    details = {"name": "First key", "scopes": ["read", "write"], "replaces": old}
    return "key.issued", issued.row.public_id, details


async def do_revoke(tenant):
    key = await first_key(tenant)
    await lifecycle.revoke_key(tenant.slug, key, by=BY)
    return "key.revoked", key, {"name": "First key"}


async def do_add_domain(tenant):
    host = f"{tenant.slug}.example.com"
    await lifecycle.add_domain(tenant.slug, host, by=BY)
    return "domain.added", host, {}


async def do_remove_domain(tenant):
    _, host, _ = await do_add_domain(tenant)
    await lifecycle.remove_domain(tenant.slug, host, by=BY)
    return "domain.removed", host, {"verified": False}


async def do_invite(tenant):
    await lifecycle.invite_member(tenant.slug, "a@example.com", "viewer", by=BY)
    return "member.invited", "a@example.com", {"role": "viewer"}


async def do_change_member(tenant):
    await lifecycle.invite_member(tenant.slug, "a@example.com", "viewer", by=TESTER)
    await lifecycle.change_member(tenant.slug, "a@example.com", "admin", by=BY)
    return "member.changed", "a@example.com", {"role": ["viewer", "admin"]}


async def do_remove_member(tenant):
    await lifecycle.invite_member(tenant.slug, "a@example.com", "viewer", by=TESTER)
    await lifecycle.remove_member(tenant.slug, "a@example.com", by=BY)
    return "member.removed", "a@example.com", {"role": "viewer"}


DEEDS = [value for name, value in sorted(globals().items()) if name.startswith("do_")]


@pytest.mark.parametrize("do", DEEDS, ids=lambda do: do.__name__)
async def test_what_is_done_stands_there_with_who_and_where(tenant, do):
    action, target, details = await do(tenant)

    entry = await newest(tenant)
    assert (entry.action, entry.target, entry.details) == (action, target, details)
    assert (entry.actor_kind, entry.actor_id, entry.actor_name) == ("operator", "abc", "A key")
    assert (entry.address, entry.request_id) == ("192.0.2.7", "r1")
    assert (entry.tenant_id, entry.tenant_slug) == (tenant.ref.id, tenant.slug)


async def test_a_creation_stands_there_with_its_first_owner(application):
    slug = f"t{secrets.token_hex(6)}"
    await onboard(slug, "Acme", ["conversations"], owner_email="o@example.com")

    invited, created = await lifecycle.list_audit(tenant=slug)
    assert (invited.action, invited.target) == ("member.invited", "o@example.com")
    assert created.action == "tenant.created"
    assert created.details == {"name": "Acme", "modules": ["conversations"], "plan": "standard"}


async def test_operators_keys_stand_there_too(application):
    issued = await lifecycle.create_operator("CI", ["read"], by=BY)
    await lifecycle.revoke_operator(issued.row.public_id, by=BY)

    revoked, created = (await lifecycle.list_audit(actor="abc", limit=2))[:2]
    assert (created.action, created.details) == (
        "operator.created",
        {"name": "CI", "scopes": ["read"]},
    )
    assert (revoked.action, revoked.target) == ("operator.revoked", issued.row.public_id)


async def test_what_changes_nothing_is_not_recorded(tenant):
    await lifecycle.suspend_tenant(tenant.slug, by=BY)
    before = len(await entries_of(tenant))

    await lifecycle.suspend_tenant(tenant.slug, by=BY)
    with pytest.raises(errors.InvalidInput):
        await lifecycle.change_tenant(tenant.slug, plan="gold", by=BY)
    with pytest.raises(errors.KeyNotFound):
        await lifecycle.revoke_key(tenant.slug, "nobody", by=BY)

    assert len(await entries_of(tenant)) == before


async def test_a_change_that_cannot_be_recorded_is_not_made(tenant, monkeypatch):
    def fail(*_args, **_options):
        raise RuntimeError("no room")

    monkeypatch.setattr(audit.AuditEntry.objects, "create", fail)
    for change in (
        lifecycle.suspend_tenant(tenant.slug, by=BY),
        lifecycle.issue_key(tenant.slug, "App", by=BY),
        lifecycle.invite_member(tenant.slug, "a@example.com", "viewer", by=BY),
    ):
        with pytest.raises(RuntimeError, match="no room"):
            await change
    monkeypatch.undo()

    assert (await lifecycle.get_tenant(tenant.slug)).status == "active"
    assert await ApiKey.objects.filter(tenant=tenant.row).acount() == 1
    assert not await Membership.objects.filter(tenant=tenant.row).aexists()


async def test_no_secret_stands_there(tenant):
    issued = await lifecycle.issue_key(tenant.slug, "App", by=BY)
    invitation = await lifecycle.invite_member(tenant.slug, "a@example.com", "viewer", by=BY)

    text = str([vars(entry) for entry in await entries_of(tenant)])
    assert issued.text not in text
    assert issued.text.rpartition("_")[2] not in text
    assert invitation.url.rpartition("/invitations/")[2] not in text


STATEMENTS = [
    "UPDATE tenantry.audit_log SET action = 'nothing'",
    "DELETE FROM tenantry.audit_log",
    "TRUNCATE tenantry.audit_log",
    "DROP TABLE tenantry.audit_log",
    "ALTER TABLE tenantry.audit_log ADD COLUMN forged text",
    "CREATE RULE forget AS ON INSERT TO tenantry.audit_log DO INSTEAD NOTHING",
    "GRANT UPDATE ON tenantry.audit_log TO PUBLIC",
    "CREATE TABLE tenantry.another (id int)",
]


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_the_applications_login_can_only_append(tenant, statement):
    def attempt():
        assert connection.settings_dict["USER"] == "tenantry_registry"
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

    if statement.startswith("GRANT"):
        # PostgreSQL only warns of a grant that gives nothing.
        await sync_to_async(attempt)()
        async with lifecycle.owner_connection() as owner:
            rights = "SELECT has_table_privilege('public', 'tenantry.audit_log', 'UPDATE')"
            assert (await owner.exec_driver_sql(rights)).scalar_one() is False
        return
    with pytest.raises(ProgrammingError) as refusal:
        await sync_to_async(attempt)()
    assert isinstance(refusal.value.__cause__, psycopg.errors.InsufficientPrivilege)


async def test_the_runtime_login_cannot_even_read_it(runtime):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.fetch("SELECT * FROM tenantry.audit_log")


class TestReading:
    async def test_a_renamed_tenant_keeps_its_history(self, tenant):
        await lifecycle.suspend_tenant(tenant.slug, by=BY)
        new_slug = f"{tenant.slug}-b"
        await lifecycle.change_tenant(tenant.slug, new_slug=new_slug, by=BY)

        actions = [entry.action for entry in await lifecycle.list_audit(tenant=new_slug)]
        assert actions == ["tenant.changed", "tenant.suspended", "tenant.created"]

    async def test_an_erased_tenants_history_is_found_by_its_slug(self, tenant):
        await do_erase(tenant)
        actions = [entry.action for entry in await lifecycle.list_audit(tenant=tenant.slug)]
        assert actions == ["tenant.erased", "tenant.deleted", "tenant.created"]

    async def test_filters_and_pages(self, operator, tenant):
        for _ in range(3):
            await lifecycle.suspend_tenant(tenant.slug, by=BY)
            await lifecycle.resume_tenant(tenant.slug, by=TESTER)

        async def ask(**query):
            page = (await operator.get("/audit", params={"tenant": tenant.slug, **query})).json()
            return page, [entry["action"] for entry in page["data"]]

        assert (await ask(action="tenant.resumed"))[1] == ["tenant.resumed"] * 3
        assert (await ask(actor="abc"))[1] == ["tenant.suspended"] * 3
        page, actions = await ask(limit=4)
        rest = (await ask(limit=4, after=page["next_cursor"]))[1]
        assert [*actions, *rest] == ["tenant.resumed", "tenant.suspended"] * 3 + ["tenant.created"]
        assert (await operator.get("/audit", params={"who": "me"})).status_code == 422

    async def test_the_export_has_every_entry_as_a_line(self, operator, tenant, monkeypatch):
        monkeypatch.setattr("tenants.lifecycle.lists._BATCH", 2)
        for _ in range(3):
            await lifecycle.suspend_tenant(tenant.slug, by=BY)
            await lifecycle.resume_tenant(tenant.slug, by=BY)

        answer = await operator.get("/audit/export", params={"tenant": tenant.slug})

        assert answer.headers["content-type"] == "application/x-ndjson"
        lines = [orjson.loads(line) for line in answer.text.splitlines()]
        page = (await operator.get("/audit", params={"tenant": tenant.slug, "limit": 100})).json()
        assert lines == page["data"]
        assert len(lines) == 7

    async def test_whoever_calls_is_named(self, operator, tenant):
        await operator.post(
            f"/tenants/{tenant.slug}/suspend", headers={"X-Request-Id": "my-request"}
        )

        entry = (await operator.get("/audit", params={"tenant": tenant.slug})).json()["data"][0]
        key = operator.headers["Authorization"].split("_")[1]
        assert entry["actor"] == {
            "kind": "operator",
            "id": key,
            "name": "Test",
            "address": "127.0.0.1",
        }
        assert entry["request_id"] == "my-request"


def test_a_command_is_named_by_its_account_and_machine():
    actor = acting_command()

    assert actor.kind == "command"
    assert actor.id
    assert actor.address
    assert actor.request_id != acting_command().request_id


def test_only_the_owner_login_owns_the_log():
    with psycopg.connect(get_settings().owner_url.get_secret_value()) as owner:
        row = owner.execute(
            "SELECT tableowner FROM pg_tables WHERE tablename = 'audit_log'"
        ).fetchone()
    assert row == ("tenantry_owner",)


async def test_entries_of_one_moment_keep_their_order(tenant):
    await asyncio.gather(
        *(lifecycle.issue_key(tenant.slug, f"Key {number}", by=BY) for number in range(5))
    )
    entries = await lifecycle.list_audit(tenant=tenant.slug, action="key.issued")
    assert [entry.at for entry in entries] == sorted((e.at for e in entries), reverse=True)
