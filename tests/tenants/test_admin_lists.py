"""The admin's lists over HTTP: what they find, what can be done on them, and what they cost."""

import re
from pathlib import Path

import orjson
import pytest
from asgiref.sync import sync_to_async

from tenants import lifecycle
from tenants.admin.audit_log import ACTIONS
from tenants.models import ApiKey, AuditEntry, Domain, Membership, OperatorKey, Tenant
from tenants.rollouts import ledger
from tenants.testing import TESTER
from tests.tenants.admin_pages import TENANTS, keys_on, new_slug, sign_in, words_of
from tests.tenants.crowd import ROLLOUT, find_sequential_scans, gathered, recorded
from tests.tenants.people import make_user

EDITS = ["created", "changed", "deleted"]
LISTS = ["tenant", "apikey", "domain", "membership", "operatorkey", "user", "auditentry", "rollout"]


@pytest.fixture
def tenant(bare_tenant):
    return bare_tenant


def address(model):
    return f"/admin/tenants/{model}/"


@pytest.fixture
async def admin(application):
    """A superuser's browser."""
    async with await sign_in(application, is_superuser=True) as browser:
        yield browser


async def find(admin, model, **query):
    """The cells of a list's rows, as text."""
    page = await admin.get(address(model), params=query)
    assert page.status_code == 200, page.headers
    rows = re.findall(r'<tr class="data-row.*?</tr>', page.text, re.DOTALL)
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip() for row in rows]


@pytest.mark.parametrize("path", ["tenants/", "auth/", "tenants/tenant/", "password_change/"])
async def test_where_links_of_every_page_lead(admin, path):
    assert (await admin.get(f"/admin/{path}")).status_code == 200


class TestFinding:
    async def test_a_tenant_by_words_of_its_slug_and_name(self, admin, make_tenant):
        tenant = await make_tenant(modules=[])
        word = new_slug()
        await lifecycle.change_tenant(tenant.slug, name=f"The {word} Company", by=TESTER)

        for text in (tenant.slug, word, f"company {word[:-2]}"):
            (row,) = await find(admin, "tenant", q=text)
            assert tenant.slug in row
        assert await find(admin, "tenant", q=f"{word} nobody") == []

    async def test_tenants_by_status_and_plan(self, admin, make_tenant):
        tenant = await make_tenant(modules=[])
        await lifecycle.suspend_tenant(tenant.slug, by=TESTER)

        for query in ({"status__exact": "suspended"}, {"plan": "standard"}):
            (row,) = await find(admin, "tenant", q=tenant.slug, **query)
            assert f"{tenant.slug} Tenant {tenant.slug} suspended standard" in row
        assert await find(admin, "tenant", q=tenant.slug, status__exact="active") == []

    @pytest.mark.parametrize("model", ["apikey", "domain", "membership"])
    async def test_what_belongs_to_a_tenant(self, admin, make_tenant, model):
        tenant, other = await make_tenant(modules=[]), await make_tenant(modules=[])
        for each in (tenant, other):
            await lifecycle.add_domain(each.slug, f"{each.slug}.example.com", by=TESTER)
            await lifecycle.invite_member(each.slug, "a@example.com", "viewer", by=TESTER)

        for query in ({"q": tenant.slug}, {"tenant": tenant.slug}):
            (row,) = await find(admin, model, **query)
            assert tenant.slug in row
        assert await find(admin, model, tenant="nobody") == []

    async def test_a_key_by_its_public_id(self, admin, tenant):
        key = await ApiKey.objects.aget(tenant=tenant.row)

        (row,) = await find(admin, "apikey", q=key.public_id)

        assert row.startswith(f"{key.public_id} {tenant.slug} First key active")

    async def test_a_domain_by_its_host(self, admin, tenant):
        host = f"chat.{tenant.slug}.example.com"
        await lifecycle.add_domain(tenant.slug, host, by=TESTER)

        (row,) = await find(admin, "domain", q=host.upper())

        assert row.startswith(f"{host} {tenant.slug} unverified not yet")

    async def test_a_member_by_the_address_that_signs_in(self, admin, tenant):
        user = await make_user()
        await Membership.objects.acreate(tenant=tenant.row, user=user, email=user.email)

        (row,) = await find(admin, "membership", q=user.email)

        assert row.startswith(f"{user.email} {tenant.slug} Member active")

    async def test_a_user_by_how_name_or_address_begins(self, admin):
        user = await make_user(f"{new_slug()}@example.com", username=f"Ada-{new_slug()}")

        for text in (user.username[:-1].lower(), user.email[:-1]):
            (row,) = await find(admin, "user", q=text)
            assert user.username in row

    async def test_entries_by_tenant_whatever_it_was_called(self, admin, make_tenant):
        tenant = await make_tenant(modules=[])
        slug = new_slug()
        await lifecycle.change_tenant(tenant.slug, new_slug=slug, by=TESTER)

        for query in ({"q": slug}, {"tenant": slug}):
            newest, oldest = await find(admin, "auditentry", **query)
            assert f"slug {tenant.slug} → {slug}" in newest
            assert "tenant.created" in oldest

    async def test_entries_of_a_tenant_that_was_erased(self, admin, tenant):
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

        rows = await find(admin, "auditentry", q=tenant.slug)

        assert len(rows) == 3
        assert "tenant.erased" in rows[0]

    async def test_entries_by_actor_action_and_kind(self, admin, tenant):
        await admin.do("suspend", tenant)

        (row,) = await find(admin, "auditentry", q=str(admin.user.pk))
        assert f"{tenant.slug} status active → suspended {admin.user.username} staff" in row
        both = {"tenant": tenant.slug, "action": "tenant.suspended", "kind": "staff"}
        assert len(await find(admin, "auditentry", **both)) == 1
        assert await find(admin, "auditentry", **{**both, "kind": "operator"}) == []


class TestActions:
    async def test_suspending_and_resuming_several(self, admin, make_tenant):
        ours = [await make_tenant(modules=[]) for _ in range(2)]
        pks = [tenant.row.pk for tenant in ours]

        for action, status in (("suspend", "suspended"), ("resume", "active")):
            await admin.act(TENANTS, action, *pks)
            assert [(await lifecycle.get_tenant(each.slug)).status for each in ours] == [status] * 2

    async def test_one_that_cannot_be_is_reported_and_the_others_are_done(self, admin, make_tenant):
        good, bad = await make_tenant(modules=[]), await make_tenant(modules=[])
        await lifecycle.delete_tenant(bad.slug, by=TESTER)

        await admin.act(TENANTS, "suspend", good.row.pk, bad.row.pk)

        said = words_of(await admin.get(TENANTS))
        assert f"The tenant `{bad.slug}` is deleting." in said
        assert f"{good.slug}: Suspended." in said

    async def test_issuing_keys_shows_each_once(self, admin, client, make_tenant):
        ours = [await make_tenant() for _ in range(2)]

        page = await admin.act(TENANTS, "issue_key", *(each.row.pk for each in ours))

        keys = keys_on(page)
        assert len(keys) == 2
        for key in keys:
            headers = {"Authorization": f"Bearer {key}"}
            assert (await client.get("/api/v1/conversations", headers=headers)).status_code == 200
        assert keys_on(await admin.get(TENANTS)) == []

    async def test_issuing_where_it_cannot_be_says_why(self, admin, tenant):
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)

        answer = await admin.act(TENANTS, "issue_key", tenant.row.pk)

        assert answer.status_code == 302
        assert "is deleting." in (await admin.get(TENANTS)).text

    async def test_revoking_keys(self, admin, tenant):
        key = await ApiKey.objects.aget(tenant=tenant.row)

        await admin.act(address("apikey"), "revoke", key.pk)

        await key.arefresh_from_db()
        assert key.revoked_at is not None

    async def test_revoking_operators_keys(self, admin):
        issued = await lifecycle.create_operator("Billing", by=TESTER)

        await admin.act(address("operatorkey"), "revoke", issued.row.pk)

        key = await OperatorKey.objects.aget(pk=issued.row.pk)
        assert key.revoked_at is not None
        entry = await AuditEntry.objects.filter(target=key.public_id).alatest("id")
        assert (entry.action, entry.actor_kind) == ("operator.revoked", "staff")

    async def test_nothing_is_deleted_in_bulk(self, admin):
        for model in LISTS:
            assert "delete_selected" not in (await admin.get(address(model))).text


class TestTheAuditLog:
    def test_every_action_that_is_recorded_can_be_filtered_by(self):
        """What is recorded stands in these sources, but for what is edited as rows."""
        nouns = "tenant|module|key|domain|member|operator|user"
        sources = Path(lifecycle.__file__).parent.glob("*.py")
        recorded = {
            action
            for source in sources
            for action in re.findall(rf'"((?:{nouns})\.\w+)"', source.read_text())
        }
        recorded |= set(re.findall(r'record\(by, "([\w.]+)"', Path(ledger.__file__).read_text()))
        edits = {f"{row}.{verb}" for row in ("user", "group") for verb in EDITS}

        assert recorded | edits == set(ACTIONS)

    async def test_it_can_be_carried_off_as_the_list_shows_it(self, admin, tenant):
        await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
        query = f"?tenant={tenant.slug}"
        page = await admin.get(f"{address('auditentry')}{query}")
        (link,) = re.findall(r'href="(/admin/tenants/auditentry/export/[^"]*)"', page.text)

        answer = await admin.get(link)

        assert answer.headers["Content-Type"] == "application/jsonl"
        entries = [orjson.loads(line) for line in answer.content.splitlines()]
        assert [entry["action"] for entry in entries] == ["tenant.suspended", "tenant.created"]
        assert entries[0]["actor"]["kind"] == "command"
        assert entries[0]["details"] == {"status": ["active", "suspended"]}

    async def test_a_long_one_comes_page_by_page(self, admin, monkeypatch, tenant):
        monkeypatch.setattr("tenants.admin.audit_log._BATCH", 2)
        for _ in range(2):
            await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
            await lifecycle.resume_tenant(tenant.slug, by=TESTER)

        answer = await admin.get(f"{address('auditentry')}export/?tenant={tenant.slug}")

        assert len(answer.content.splitlines()) == 5

    async def test_only_for_those_who_may_see_it(self, application):
        async with await sign_in(application, "view_tenant") as viewer:
            assert (await viewer.get(f"{address('auditentry')}export/")).status_code == 403


class TestCost:
    async def test_the_same_queries_for_few_rows_and_for_many(self, admin, make_tenant):
        tenant = await make_tenant(modules=[])
        before = await self.count(admin)
        for number in range(6):
            await lifecycle.issue_key(tenant.slug, f"Key {number}", by=TESTER)
            await lifecycle.add_domain(tenant.slug, f"c{number}.example.com", by=TESTER)
            await lifecycle.invite_member(
                tenant.slug, f"c{number}@example.com", "viewer", by=TESTER
            )
            await make_tenant(modules=[])

        assert await self.count(admin) == before

    async def count(self, admin):
        counts = {}
        for page in ["/admin/", *map(address, LISTS)]:
            with recorded() as queries:
                assert (await admin.get(page)).status_code == 200
            counts[page] = len(queries)
        return counts

    @pytest.mark.parametrize("model", LISTS)
    async def test_nothing_is_counted(self, admin, model):
        with recorded() as queries:
            await admin.get(address(model))

        assert not [sql for sql, _ in queries if "COUNT(" in sql]

    async def test_a_column_that_has_no_index_sorts_nothing(self, admin):
        with recorded() as queries:
            assert (await admin.get(f"{TENANTS}?o=2")).status_code == 200

        assert not [sql for sql, _ in queries if 'ORDER BY "tenants_tenant"."name"' in sql]

    @pytest.mark.slow
    async def test_no_list_reads_a_whole_table(self, admin):
        slug = "crowd-05000"
        with gathered():
            tenant = await Tenant.objects.aget(slug=slug)
            pages = ["/admin/", f"{TENANTS}{tenant.pk}/change/", f"{TENANTS}slug/?slug={slug}"]
            for model in LISTS:
                words = (slug, "company", f"{slug}@example.com", f"{slug}.example.com")
                pages += [address(model), f"{address(model)}?p=150"]
                pages += [f"{address(model)}?q={word}" for word in words]
            pages += [f"{address(model)}?tenant={slug}" for model in LISTS[1:4]]
            pages += [f"{TENANTS}?{query}" for query in TENANT_QUERIES]
            pages += [f"{address('auditentry')}?{query}" for query in ENTRY_QUERIES]
            page = f"{address('rollout')}{ROLLOUT}/change/"
            pages += [page, f"{page}?carried_before=10000000", f"{page}?failed_before=10000000"]
            scans = {}
            for page in pages:
                with recorded() as queries:
                    assert (await admin.get(page)).status_code == 200
                scans[page] = await sync_to_async(find_sequential_scans)(queries)

        assert {page: found for page, found in scans.items() if found} == {}


TENANT_QUERIES = [
    "o=-1",
    "o=6",
    "o=-6",
    "status__exact=suspended",
    "status__exact=active&plan=pro",
    "plan=pro&o=-6",
    "q=company&status__exact=suspended",
]
ENTRY_QUERIES = [
    "o=1",
    "action=tenant.created",
    "action=tenant.erased",
    "kind=member",
    "kind=command&action=tenant.created",
    "tenant=crowd-05000",
    "tenant=nobody",
]


async def test_a_domain_that_is_looked_at_says_what_dns_must_have(admin, tenant):
    domain = await lifecycle.add_domain(tenant.slug, f"{tenant.slug}.example.com", by=TESTER)

    page = words_of(await admin.get(f"{address('domain')}{domain.pk}/change/"))

    name, value = lifecycle.verification_record(await Domain.objects.aget(pk=domain.pk))
    assert name in page
    assert value in page
