"""Every verb does the same in the API, on the command line and in the admin, and fails alike."""

import asyncio
import re

import pytest

from tenants import lifecycle
from tenants.apps import get_settings
from tenants.models import AuditEntry
from tenants.testing import TESTER
from tests.tenants.name_server import NameServer
from tests.tenants.places import AdminPlace, ApiPlace, CommandPlace, snapshot
from tests.tenants.test_commands import call, plain_streams  # noqa: F401  # A fixture.


@pytest.fixture(scope="module")
async def api_place(application):
    return await ApiPlace.open(application)


@pytest.fixture(scope="module")
async def admin_place(application):
    return await AdminPlace.open(application)


@pytest.fixture
def places(api_place, admin_place):
    async def run(*arguments):
        return await asyncio.to_thread(call, *arguments)

    return [api_place, CommandPlace(run), admin_place]


@pytest.fixture(autouse=True)
async def name_server(monkeypatch):
    async with NameServer() as server:
        monkeypatch.setattr(get_settings(), "dns_servers", [server.address])
        yield server


class Case:
    """A verb, what it is given, and what was done before.

    Each is called with a tenant; prepare may return more values for the verb.
    modules: those of the tenant; without tables, it is there in a fraction of the time.
    """

    def __init__(self, verb, give=None, prepare=None):
        self.verb = verb
        self.give = give or (lambda tenant: {})
        self.prepare = prepare
        self.modules = None if verb in {"erase", "enable_module", "disable_module"} else []

    async def make_ready(self, tenant, name_server):
        """Do what comes before, and return what the verb is given."""
        given = self.give(tenant)
        if self.prepare is not None:
            given |= await self.prepare(tenant, name_server) or {}
        return given


async def suspended(tenant, _server):
    await lifecycle.suspend_tenant(tenant.slug, by=TESTER)


async def deleted(tenant, _server):
    await lifecycle.delete_tenant(tenant.slug, by=TESTER)


async def without_sample(tenant, _server):
    await lifecycle.disable_module(tenant.slug, "sample", by=TESTER)


async def with_key(tenant, _server):
    issued = await lifecycle.issue_key(tenant.slug, "App", ["read"], by=TESTER)
    return {"public_id": issued.row.public_id}


async def with_ended_key(tenant, server):
    given = await with_key(tenant, server)
    await lifecycle.revoke_key(tenant.slug, given["public_id"], by=TESTER)
    return given


async def without_room(tenant, _server):
    limits = {"api_keys": 1, "domains": 0, "members": 0}
    await lifecycle.change_tenant(tenant.slug, limits=limits, by=TESTER)
    tenant.row.limits = limits


def host_of(tenant):
    return {"host": f"chat.{tenant.slug}.example.com"}


async def with_domain(tenant, _server):
    await lifecycle.add_domain(tenant.slug, **host_of(tenant), by=TESTER)


async def with_proven_domain(tenant, server):
    domain = await lifecycle.add_domain(tenant.slug, **host_of(tenant), by=TESTER)
    name, value = lifecycle.verification_record(domain)
    server.texts[name] = [value]


async def with_verified_domain(tenant, server):
    await with_proven_domain(tenant, server)
    await lifecycle.verify_domain(tenant.slug, **host_of(tenant), by=TESTER)


async def with_invited(tenant, _server):
    await lifecycle.invite_member(tenant.slug, "a@example.com", "viewer", by=TESTER)


def new(**more):
    return lambda tenant: {"slug": f"{tenant.slug}-n", "name": "New", **more}


def give(**values):
    return lambda tenant: values


MEMBER = {"member": "a@example.com"}
SUCCESSES = [
    Case("create", new(limits={"api_keys": 3}, owner_email="o@example.com")),
    Case("change", give(name="Another name")),
    Case("change", give(limits={"api_keys": 7})),
    Case("change", lambda tenant: {"slug": f"{tenant.slug}-x"}),
    Case("suspend"),
    Case("suspend", prepare=suspended),
    Case("resume", prepare=suspended),
    Case("delete"),
    Case("erase", lambda tenant: {"slug": tenant.slug}, deleted),
    Case("enable_module", give(module="sample"), without_sample),
    Case("disable_module", give(module="sample")),
    Case("issue_key", give(name="App", scopes=["read"])),
    Case("issue_key", give(name="App")),
    Case("rotate_key", give(overlap_hours=1), with_key),
    Case("revoke_key", prepare=with_key),
    Case("add_domain", host_of),
    Case("verify_domain", host_of, with_proven_domain),
    Case("remove_domain", host_of, with_verified_domain),
    Case("invite_member", give(email="A@example.com", role="admin")),
    Case("invite_member", give(email="a@example.com", role="owner"), with_invited),
    Case("change_member", give(**MEMBER, role="owner"), with_invited),
    Case("remove_member", give(**MEMBER), with_invited),
]
FAILURES = [
    (422, Case("create", new(slug="www"))),
    (422, Case("create", new(slug='a"; drop--'))),
    (422, Case("create", new(name=""))),
    (422, Case("create", new(plan="gold"))),
    (422, Case("create", new(owner_email="nobody"))),
    (409, Case("create", lambda tenant: {"slug": tenant.slug, "name": "New"})),
    (422, Case("change", give(name=""))),
    (422, Case("change", give(slug="pg-x"))),
    (422, Case("change", give(plan="gold"))),
    (409, Case("change", give(slug="taken"))),
    (409, Case("change", give(name="Another name"), deleted)),
    (409, Case("suspend", prepare=deleted)),
    (409, Case("resume", prepare=deleted)),
    (409, Case("erase", lambda tenant: {"slug": tenant.slug})),
    (422, Case("erase", give(slug="another"), deleted)),
    (422, Case("enable_module", give(module="billing"))),
    (409, Case("enable_module", give(module="sample"), deleted)),
    (422, Case("disable_module", give(module="billing"))),
    (409, Case("disable_module", give(module="conversations"))),
    (422, Case("issue_key", give(name=""))),
    (422, Case("change_member", give(**MEMBER, role="king"), with_invited)),
    (422, Case("invite_member", give(email="a@example.com", role="king"))),
    (409, Case("issue_key", give(name="App"), deleted)),
    (409, Case("issue_key", give(name="App"), without_room)),
    (404, Case("rotate_key", give(public_id="nobody", overlap_hours=1))),
    (409, Case("rotate_key", give(overlap_hours=1), with_ended_key)),
    (404, Case("revoke_key", give(public_id="nobody"))),
    (422, Case("add_domain", give(host="chat.localhost"))),
    (409, Case("add_domain", host_of, without_room)),
    (409, Case("add_domain", give(host="taken.example.com"))),
    (409, Case("verify_domain", host_of, with_domain)),
    (404, Case("verify_domain", host_of)),
    (404, Case("remove_domain", host_of)),
    (422, Case("invite_member", give(email="nobody", role="member"))),
    (409, Case("invite_member", give(email="a@example.com", role="member"), without_room)),
    (404, Case("change_member", give(**MEMBER, role="admin"))),
    (404, Case("remove_member", give(**MEMBER))),
]


def name_case(case):
    return case.verb if isinstance(case, Case) else str(case)


@pytest.fixture(scope="module", autouse=True)
async def taken(make_tenant):
    """A slug and a domain that somebody has."""
    tenant = await make_tenant(modules=[])
    await lifecycle.change_tenant(tenant.slug, new_slug="taken", by=TESTER)
    domain = await lifecycle.add_domain("taken", "taken.example.com", by=TESTER)
    domain.verified_at = domain.created_at
    await domain.asave()


async def look(tenant, given, place):
    """The tenant that the verb was about, and who the log says did it."""
    slug = given.get("slug", tenant.slug)
    entries = AuditEntry.objects.filter(tenant_slug__in=[slug, tenant.slug])
    actions = [
        (entry.action, entry.actor_kind == place.name)
        async for entry in entries.order_by("id")
        if entry.actor_id != TESTER.id
    ]
    return await snapshot(slug), await snapshot(tenant.slug), actions


@pytest.mark.parametrize("case", SUCCESSES, ids=name_case)
async def test_what_succeeds_does_the_same_everywhere(places, make_tenant, name_server, case):
    seen = []
    for place in places:
        tenant = await make_tenant(case.modules)
        tenant.row.name = "Same name"
        await tenant.row.asave(update_fields=["name"])
        given = await case.make_ready(tenant, name_server)
        outcome = await place.do(case.verb, tenant, **given)
        assert outcome.status == 200, (place.name, outcome)
        seen.append(await look(tenant, given, place))

    assert seen[0] == seen[1] == seen[2]
    _, _, actions = seen[0]
    assert all(by_this_place for _, by_this_place in actions)


@pytest.mark.parametrize(("status", "case"), FAILURES, ids=name_case)
async def test_what_fails_says_the_same_everywhere_and_changes_nothing(
    places, make_tenant, name_server, status, case
):
    tenant = await make_tenant(case.modules)
    given = await case.make_ready(tenant, name_server)
    before = await snapshot(tenant.slug)
    said = []
    for place in places:
        outcome = await place.do(case.verb, tenant, **given)
        assert outcome.status == status, (place.name, outcome)
        assert await snapshot(tenant.slug) == before
        text = outcome.text
        for value in (given.get("public_id"), tenant.slug):
            text = text.replace(value, "X") if value and value != "nobody" else text
        said.append(re.sub(r"\b[0-9a-f]{32}\b", "TOKEN", text))

    api, command, admin = said
    assert api == command
    assert api in admin
