"""The admin over HTTP, as it is served: onboarding, and the page of a tenant with its forms."""

import re
from datetime import timedelta

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.utils import timezone

from tenants import lifecycle
from tenants.admin.verbs import VERBS
from tenants.apps import get_settings
from tenants.limits import Limits
from tenants.models import ApiKey, AuditEntry, Membership, Tenant
from tenants.testing import TESTER
from tests.tenants.admin_pages import TENANTS, keys_on, new_slug, problems_on, sign_in, words_of
from tests.tenants.crowd import recorded
from tests.tenants.people import make_user


@pytest.fixture
def tenant(bare_tenant):
    return bare_tenant


@pytest.fixture
async def admin(application):
    """A superuser's browser."""
    async with await sign_in(application, is_superuser=True) as browser:
        yield browser


def page_of(tenant):
    return f"{TENANTS}{tenant.row.pk}/change/"


class TestSigningIn:
    async def test_with_name_and_password(self, application, quick_passwords):
        await make_user("pat@example.com", "a-long-password-1", is_staff=True, is_superuser=True)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(application), base_url="http://localhost"
        ) as browser:
            page = await browser.get("/admin/login/?next=/admin/")
            token = re.search(r'csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
            data = {"username": "pat@example.com", "password": "a-long-password-1"}

            answer = await browser.post(
                "/admin/login/?next=/admin/", data={**data, "csrfmiddlewaretoken": token}
            )

            assert answer.headers["Location"] == "/admin/"
            assert "Recent changes" in (await browser.get("/admin/")).text

    async def test_a_member_who_is_no_staff_is_not_let_in(self, application):
        async with await sign_in(application, is_superuser=True) as browser:
            browser.user.is_staff = False
            await browser.user.asave()

            answer = await browser.get("/admin/")

        assert answer.headers["Location"].startswith("/admin/login/")

    async def test_the_admin_is_not_on_a_tenants_host(self, client, tenant):
        answer = await client.get("/admin/", headers={"Host": f"{tenant.slug}.localhost"})

        assert answer.status_code == 404

    @pytest.mark.parametrize("file", ["admin.css", "admin.js", "icon.svg", "sign-in.svg"])
    async def test_its_files_are_served(self, admin, file):
        assert (await admin.get(f"/static/tenants/{file}")).status_code == 200


class TestOnboarding:
    async def test_the_form_onboards_a_tenant_whose_key_works(self, admin, client):
        slug = new_slug()

        page = await admin.onboard(slug=slug, name="Acme", modules=["conversations"])

        (key,) = keys_on(page)
        headers = {"Authorization": f"Bearer {key}"}
        assert (await client.get("/api/v1/conversations", headers=headers)).status_code == 200
        assert (await lifecycle.get_tenant(slug)).modules == ["conversations"]

    async def test_plan_limits_and_first_owner(self, admin, monkeypatch):
        plans = {"standard": Limits(), "team": Limits(api_keys=9)}
        monkeypatch.setattr(get_settings(), "plans", plans)
        slug = new_slug()

        page = await admin.onboard(
            slug=slug,
            name="Acme",
            modules=["conversations"],
            plan="team",
            owner_email="Owner@Example.com",
            limits_members="3",
        )

        tenant = await lifecycle.get_tenant(slug)
        assert (tenant.plan, tenant.limits) == ("team", {"members": 3})
        member = await tenant.memberships.aget()
        assert (member.email, member.role) == ("owner@example.com", "owner")
        assert f"{get_settings().public_url}/accounts/invitations/" in page.text
        entry = await AuditEntry.objects.filter(tenant_id=tenant.pk).order_by("id").afirst()
        assert (entry.action, entry.actor_kind) == ("tenant.created", "staff")
        assert (entry.actor_id, entry.actor_name) == (str(admin.user.pk), admin.user.username)
        assert entry.address == "127.0.0.1"
        assert entry.request_id == page.headers["X-Request-Id"]

    async def test_a_key_is_shown_once_and_kept_nowhere(self, admin):
        slug = new_slug()
        page = await admin.onboard(slug=slug, name="Acme", modules=["conversations"])

        (key,) = keys_on(page)
        assert "no-store" in page.headers["Cache-Control"]
        tenant = await lifecycle.get_tenant(slug)
        assert key not in (await admin.get(f"{TENANTS}{tenant.pk}/change/")).text
        async for session in Session.objects.all():
            assert "tnt_" not in str(session.get_decoded())

    async def test_loading_the_page_again_shows_the_same_key_and_makes_nothing(self, admin):
        slug = new_slug()
        data = await admin.fill_in(f"{TENANTS}add/", slug=slug, name="Acme", plan="standard")

        first = await admin.send_again(f"{TENANTS}add/", data)
        again = await admin.send_again(f"{TENANTS}add/", data)

        assert keys_on(first) == keys_on(again) != []
        assert await ApiKey.objects.filter(tenant__slug=slug).acount() == 1

    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            ({"slug": "www"}, "The slug is reserved."),
            ({"slug": "a"}, "The slug must have 3 to 40 characters."),
            ({"slug": "Ümlaut"}, "The slug may have lower-case letters, digits and single"),
            ({"slug": "a--b"}, "The slug may have lower-case letters, digits and single"),
            ({"slug": ""}, "The slug must have 3 to 40 characters."),
            ({"name": " "}, "The name must have 1 to 200 characters."),
            ({"plan": "gold"}, "The plan must be one of standard."),
            ({"owner_email": "nobody"}, "The email must be an e-mail address"),
            ({"limits_members": "-1"}, "These limits can't be set: limits.members: "),
            ({"limits_members": "many"}, "Enter a whole number."),
        ],
    )
    async def test_what_is_wrong_is_said_at_its_field(self, admin, fields, problem):
        slug = fields.get("slug", new_slug())

        page = await admin.onboard(**{"slug": slug, "name": "Acme", **fields})

        (said,) = problems_on(page)
        assert said.startswith(problem)
        assert f'id="id_{next(iter(fields))}_error"' in page.text
        assert not await Tenant.objects.filter(slug=slug).aexists()

    async def test_several_wrong_limits_are_each_marked(self, admin):
        page = await admin.onboard(
            slug=new_slug(), name="Acme", limits_members="-1", limits_concurrent_requests="0"
        )

        assert page.status_code == 422
        whole, *each = problems_on(page)
        assert whole.startswith("These limits can't be set: ")
        assert len(each) == 2

    async def test_a_taken_slug(self, admin, tenant):
        page = await admin.onboard(slug=tenant.slug, name="Other")

        assert page.status_code == 409
        assert problems_on(page) == [f"The slug `{tenant.slug}` is taken."]


class TestCheckingASlugAsItIsTyped:
    async def ask(self, admin, slug):
        return (await admin.get(f"{TENANTS}slug/", params={"slug": slug})).json()

    async def test_a_free_one(self, admin):
        slug = new_slug()
        assert await self.ask(admin, slug) == {
            "free": True,
            "detail": f"The slug `{slug}` is free.",
        }

    async def test_one_that_cannot_be(self, admin):
        assert await self.ask(admin, "Acme!") == {
            "free": False,
            "detail": "The slug may have lower-case letters, digits and single hyphens "
            "between them.",
        }

    async def test_one_that_is_taken(self, admin, tenant):
        assert await self.ask(admin, tenant.slug) == {
            "free": False,
            "detail": f"The slug `{tenant.slug}` is taken.",
        }

    async def test_one_whose_creation_was_cut_off_can_be_completed(self, admin):
        slug = new_slug()
        await Tenant.objects.acreate(slug=slug, name="Half made")

        assert (await self.ask(admin, slug))["free"]

    async def test_whoever_may_not_onboard_gets_no_answer(self, application):
        async with await sign_in(application, "view_tenant") as viewer:
            assert (await viewer.get(f"{TENANTS}slug/?slug=acme")).status_code == 403


class TestTheTenantsPage:
    async def test_it_shows_everything(self, admin, make_tenant):
        tenant = await make_tenant()
        await lifecycle.issue_key(tenant.slug, "Reporting", ["read"], by=TESTER)
        await lifecycle.invite_member(tenant.slug, "a@example.com", "admin", by=TESTER)
        domain = await lifecycle.add_domain(tenant.slug, f"{tenant.slug}.example.com", by=TESTER)
        await lifecycle.change_tenant(tenant.slug, limits={"domains": 7}, by=TESTER)

        shown = words_of(await admin.get(page_of(tenant)))

        for text in (
            *(tenant.row.name, tenant.ref.schema, str(tenant.row.pk), f"{tenant.slug}.localhost"),
            *("Reporting", "a@example.com", domain.host, *lifecycle.verification_record(domain)),
            *("its own; the plan's is none 7", "at head", "Storage", "member.invited"),
        ):
            assert text in shown

    async def test_states_of_keys(self, admin, tenant):
        now = timezone.now()
        await ApiKey.objects.filter(tenant=tenant.row).aupdate(revoked_at=now)
        for name, days in (("Soon", 2), ("Past", -2), ("Far", 90)):
            key = (await lifecycle.issue_key(tenant.slug, name, by=TESTER)).row
            await ApiKey.objects.filter(pk=key.pk).aupdate(expires_at=now + timedelta(days=days))

        page = words_of(await admin.get(page_of(tenant)))

        for name, state in (
            *(("First key", "revoked"), ("Soon", "expiring"), ("Past", "expired")),
            ("Far", "active"),
        ):
            assert re.search(rf"{name} \w{{12}} {state}", page)

    async def test_it_shows_the_newest_and_links_to_the_rest(self, admin, tenant):
        for number in range(11):
            await lifecycle.issue_key(tenant.slug, f"Key {number:02}", by=TESTER)

        page = await admin.get(page_of(tenant))

        assert "Key 10" in page.text
        assert "Key 00" not in page.text
        rest = await admin.get(f"/admin/tenants/apikey/?tenant={tenant.slug}")
        assert f'href="/admin/tenants/apikey/?tenant={tenant.slug}"' in page.text
        assert "Key 00" in rest.text

    async def test_it_costs_the_same_number_of_queries_with_little_and_with_much(
        self, admin, tenant
    ):
        await admin.get(page_of(tenant))
        with recorded() as few:
            await admin.get(page_of(tenant))
        for number in range(8):
            await lifecycle.issue_key(tenant.slug, f"Key {number}", by=TESTER)
            await lifecycle.add_domain(tenant.slug, f"n{number}.example.com", by=TESTER)
            await Membership.objects.acreate(
                tenant=tenant.row, user=await make_user(), email=f"n{number}@example.com"
            )
        with recorded() as many:
            await admin.get(page_of(tenant))

        assert len(few) == len(many)

    async def test_one_that_is_being_deleted_says_so_and_can_be_erased(self, admin, tenant):
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)

        page = await admin.get(page_of(tenant))

        assert f"The tenant `{tenant.slug}` is deleting." in words_of(page)
        assert f"Erase {tenant.slug} for good" in page.text
        assert "do/issue_key/" not in page.text

    async def test_one_that_is_gone_leads_to_the_first_page(self, admin):
        answer = await admin.get(f"{TENANTS}01a21075-8a1c-774d-923c-cf35ead5cf5a/change/")

        assert answer.headers["Location"] == "/admin/"


class TestVerbs:
    """What each does and says is compared with the other places in `test_three_places.py`."""

    async def test_it_leads_back_and_says_what_was_done(self, admin, tenant):
        answer = await admin.do("suspend", tenant)

        assert answer.headers["Location"] == f"{page_of(tenant)}#facts"
        assert f"{tenant.slug}: Suspended." in (await admin.get(page_of(tenant))).text

    async def test_what_was_typed_is_still_there_when_it_is_refused(self, admin, tenant):
        page = await admin.do("change", tenant, name="Another", slug="www", plan="standard")

        assert problems_on(page) == ["The slug is reserved."]
        assert 'value="Another"' in page.text
        assert 'value="www"' in page.text

    async def test_where_the_page_has_no_such_form_it_still_says_what_is_wrong(self, admin, tenant):
        page = await admin.do("erase", tenant, confirm_slug="other")
        assert problems_on(page) == [
            "The confirmation is not the tenant's slug; nothing was erased."
        ]

        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        page = await admin.do("issue_key", tenant, name="", scopes=["read"])
        assert problems_on(page) == ["The name must have 1 to 200 characters."]

    async def test_a_new_key_works_is_shown_once_and_once_only_made(
        self, admin, client, make_tenant
    ):
        tenant = await make_tenant()
        fields = await admin.fill_in(page_of(tenant), name="App", scopes=["read"])
        path = f"{TENANTS}{tenant.row.pk}/do/issue_key/"

        page, again = [await admin.send_again(path, fields) for _ in range(2)]

        (key,) = keys_on(page)
        assert keys_on(again) == [key]
        headers = {"Authorization": f"Bearer {key}"}
        assert (await client.get("/api/v1/conversations", headers=headers)).status_code == 200
        assert await ApiKey.objects.filter(tenant=tenant.row, name="App").acount() == 1
        # The same words in a form of another page mean another key.
        other = await admin.do("issue_key", tenant, name="App", scopes=["read"])
        assert keys_on(other) != [key]

    async def test_a_rotated_key_says_when_the_old_one_ends(self, admin, tenant):
        old = await ApiKey.objects.aget(tenant=tenant.row)

        page = await admin.do("rotate_key", tenant, public_id=old.public_id, overlap_hours="24")

        assert f"It replaces {old.public_id}, which ends in a day." in words_of(page)
        assert len(keys_on(page)) == 1

    async def test_an_invitations_link_is_shown_once(self, admin, tenant):
        page = await admin.do("invite_member", tenant, email="new@example.com", role="owner")

        (link,) = re.findall(r"/accounts/invitations/[^<]+", page.text)
        assert "no-store" in page.headers["Cache-Control"]
        assert link not in (await admin.get(page_of(tenant))).text

    async def test_erasing_asks_for_the_slug(self, admin, tenant):
        await admin.do("delete", tenant)

        refused = await admin.do("erase", tenant, confirm_slug="other")
        assert problems_on(refused) == [
            "The confirmation is not the tenant's slug; nothing was erased."
        ]
        answer = await admin.do("erase", tenant, confirm_slug=tenant.slug)

        assert answer.headers["Location"] == TENANTS
        assert not await Tenant.objects.filter(pk=tenant.row.pk).aexists()

    async def test_a_verb_that_is_asked_for_leads_to_the_page(self, admin, tenant):
        answer = await admin.get(f"{TENANTS}{tenant.row.pk}/do/suspend/")

        assert answer.headers["Location"] == page_of(tenant)
        assert (await lifecycle.get_tenant(tenant.slug)).status == "active"

    async def test_there_is_no_other_verb(self, admin, tenant):
        assert (await admin.do("explode", tenant)).status_code == 404


class TestPermissions:
    async def test_somebody_who_may_only_look_is_offered_nothing_to_do(self, application, tenant):
        async with await sign_in(application, "view_tenant", "view_apikey") as viewer:
            page = await viewer.get(page_of(tenant))
            listing = await viewer.get(TENANTS)

            assert (page.status_code, listing.status_code) == (200, 200)
            assert "/do/" not in page.text
            assert "First key" in page.text
            assert 'id="members"' not in page.text
            assert 'id="entries"' not in page.text
            assert f"{TENANTS}add/" not in listing.text
            assert '<select name="action"' not in listing.text
            assert (await viewer.get(f"{TENANTS}add/")).status_code == 403
            assert (await viewer.get("/admin/tenants/user/")).status_code == 403

    @pytest.mark.parametrize("verb", VERBS)
    async def test_each_verb_needs_its_permission(self, application, tenant, verb):
        others = {each.permission for each in VERBS.values()} - {VERBS[verb].permission}
        async with await sign_in(application, "view_tenant", *others) as browser:
            assert (await browser.do(verb, tenant)).status_code == 403

    async def test_whoever_may_not_even_look_sees_nothing(self, application, tenant):
        async with await sign_in(application, "change_apikey", "view_domain") as browser:
            token = await browser.fill_in("/admin/tenants/domain/")

            assert (await browser.get(page_of(tenant))).status_code == 403
            path = f"{TENANTS}{tenant.row.pk}/do/revoke_key/"
            assert (await browser.send_again(path, token)).status_code == 403
            first = await browser.get("/admin/")
            assert tenant.slug not in first.text

    @pytest.mark.parametrize("model", ["tenant", "apikey", "domain", "membership", "auditentry"])
    async def test_rows_with_a_life_of_their_own_are_never_edited_as_rows(
        self, admin, tenant, model
    ):
        await lifecycle.add_domain(tenant.slug, "x.example.com", by=TESTER)
        await lifecycle.invite_member(tenant.slug, "x@example.com", "viewer", by=TESTER)
        row = await sync_to_async(lambda: find_row(model, tenant))()
        path = f"/admin/tenants/{model}/{row.pk}"

        assert (await admin.get(f"{path}/change/")).status_code == 200
        assert (await admin.get(f"{path}/delete/")).status_code == 403
        edited = await admin.submit(TENANTS, f"{path}/change/", name="Other", email="y@example.com")
        assert edited.status_code in {200, 403}
        after = await sync_to_async(lambda: find_row(model, tenant))()
        assert vars(row) | {"_state": None} == vars(after) | {"_state": None}


def find_row(model, tenant):
    if model == "tenant":
        return Tenant.objects.get(pk=tenant.row.pk)
    if model == "auditentry":
        return AuditEntry.objects.filter(tenant_id=tenant.row.pk).first()
    related = {"apikey": "api_keys", "domain": "domains", "membership": "memberships"}[model]
    return getattr(Tenant.objects.get(pk=tenant.row.pk), related).get()
