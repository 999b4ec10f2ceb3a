"""Tenants over the management API: what each request answers, and what it leaves behind."""

import asyncio
import secrets

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from tenants import lifecycle
from tenants.models import ApiKey, AuditEntry, Membership, Tenant
from tenants.testing import TESTER, connect


@pytest.fixture
async def tenant(make_tenant):
    return await make_tenant()


@pytest.fixture
def slug():
    return f"m{secrets.token_hex(6)}"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class TestCreate:
    async def test_a_tenant_is_made_whose_key_works(self, operator, client, slug):
        made = await operator.post("/tenants", json={"slug": slug, "name": " Acme Inc. "})

        assert made.status_code == 201
        tenant = made.json()
        assert {name: tenant[name] for name in ("slug", "name", "status", "plan", "limits")} == {
            "slug": slug,
            "name": "Acme Inc.",
            "status": "active",
            "plan": "standard",
            "limits": {},
        }
        assert tenant["schema"] == f"t_{tenant['id'].replace('-', '')}"
        answer = await client.get("/api/v1/conversations", headers=bearer(tenant["api_key"]))
        assert answer.status_code == 200

    async def test_everything_that_can_be_asked_for(self, operator, slug):
        wish = {
            "slug": slug,
            "name": "Acme",
            "modules": ["sample"],
            "plan": "standard",
            "limits": {"api_keys": 3, "concurrent_requests": 10},
            "owner_email": "Owner@Example.com",
        }

        made = (await operator.post("/tenants", json=wish)).json()

        # What a module requires comes with it.
        assert made["modules"] == ["conversations", "sample"]
        assert made["limits"] == {"api_keys": 3, "concurrent_requests": 10}
        owner = made["owner"]
        assert (owner["email"], owner["role"], owner["status"]) == (
            "owner@example.com",
            "owner",
            "invited",
        )
        assert owner["url"].startswith("http://localhost:8000/accounts/invitations/")

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"slug": "www"}, "slug"),
            ({"slug": 'a"; drop schema public; --'}, "slug"),
            ({"slug": "a" * 41}, "slug"),
            ({"name": ""}, "name"),
            ({"name": "n" * 201}, "name"),
            ({"name": None}, "name"),
            ({"plan": "gold"}, "plan"),
            ({"limits": {"api_keys": -1}}, "limits.api_keys"),
            ({"limits": {"api_keys": "3"}}, "limits.api_keys"),
            ({"limits": {"cars": 1}}, "limits.cars"),
            ({"owner_email": "nobody"}, "email"),
            ({"status": "active"}, "status"),
            ({"id": "x"}, "id"),
        ],
    )
    async def test_a_wrong_value_is_named(self, operator, slug, wrong, field):
        answer = await operator.post("/tenants", json={"slug": slug, "name": "Acme", **wrong})

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        assert [error["field"] for error in answer.json()["errors"]] == [field]
        assert not await Tenant.objects.filter(slug=slug).aexists()

    async def test_an_unknown_module_is_refused(self, operator, slug):
        answer = await operator.post(
            "/tenants", json={"slug": slug, "name": "Acme", "modules": ["billing"]}
        )

        assert answer.status_code == 422
        assert "no module `billing`" in answer.json()["detail"]

    async def test_of_twenty_racers_one_wins(self, operator, slug):
        answers = await asyncio.gather(
            *(
                operator.post("/tenants", json={"slug": slug, "name": f"Racer {number}"})
                for number in range(20)
            )
        )

        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
        losers = {a.json()["code"] for a in answers if a.status_code == 409}
        assert losers == {"slug_taken"}


class TestIdempotency:
    async def test_a_repeat_gets_the_same_tenant_and_the_same_key(self, operator, client, slug):
        wish = {"slug": slug, "name": "Acme", "owner_email": "owner@example.com"}
        headers = {"Idempotency-Key": f"create-{slug}"}

        first = await operator.post("/tenants", json=wish, headers=headers)
        repeat = await operator.post("/tenants", json=wish, headers=headers)

        assert first.status_code == repeat.status_code == 201
        assert first.json() == repeat.json()
        assert "idempotent-replayed" not in first.headers
        assert repeat.headers["idempotent-replayed"] == "true"
        key = bearer(repeat.json()["api_key"])
        assert (await client.get("/api/v1/conversations", headers=key)).status_code == 200
        assert await ApiKey.objects.filter(tenant__slug=slug).acount() == 1
        assert (
            await AuditEntry.objects.filter(tenant_slug=slug, action="tenant.created").acount() == 1
        )
        assert await Membership.objects.filter(tenant__slug=slug).acount() == 1

    async def test_the_key_is_stored_nowhere(self, operator, slug):
        made = await operator.post(
            "/tenants",
            json={"slug": slug, "name": "Acme"},
            headers={"Idempotency-Key": f"create-{slug}"},
        )

        def dump():
            tables = ("tenants_apikey", "tenants_creation", "tenantry.audit_log")
            with connection.cursor() as cursor:
                for table in tables:
                    cursor.execute(f"SELECT t::text FROM {table} t")
                    yield from (row for (row,) in cursor.fetchall())

        everything = "\n".join(await sync_to_async(lambda: list(dump()))())
        secret = made.json()["api_key"].rpartition("_")[2]
        assert made.json()["api_key"].split("_")[1] in everything
        assert secret not in everything
        assert secret.encode().hex() not in everything
        assert f"create-{slug}".encode().hex() not in everything

    async def test_another_request_under_the_same_key_is_refused(self, operator, slug):
        headers = {"Idempotency-Key": f"create-{slug}"}
        await operator.post("/tenants", json={"slug": slug, "name": "Acme"}, headers=headers)

        other = await operator.post(
            "/tenants", json={"slug": slug, "name": "Another"}, headers=headers
        )

        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    async def test_another_operators_key_of_the_same_text_is_another_key(
        self, application, operator, slug
    ):
        headers = {"Idempotency-Key": f"create-{slug}"}
        wish = {"slug": slug, "name": "Acme"}
        await operator.post("/tenants", json=wish, headers=headers)
        other = await lifecycle.create_operator("Other", by=TESTER)

        async with connect(application, "http://localhost/api/admin/v1") as client:
            answer = await client.post("/tenants", json=wish, headers=headers | bearer(other.text))

        assert (answer.status_code, answer.json()["code"]) == (409, "slug_taken")

    async def test_the_same_request_many_times_at_once_is_done_once(self, operator, slug):
        wish, headers = {"slug": slug, "name": "Acme"}, {"Idempotency-Key": f"create-{slug}"}

        answers = await asyncio.gather(
            *(operator.post("/tenants", json=wish, headers=headers) for _ in range(8))
        )
        last = await operator.post("/tenants", json=wish, headers=headers)

        for answer in answers:
            assert answer.status_code in {201, 409}, answer.text
            if answer.status_code == 409:
                assert answer.json()["code"] == "creation_in_progress"
                assert answer.headers["retry-after"] == "1"
            else:
                assert answer.json()["api_key"] == last.json()["api_key"]
        assert await ApiKey.objects.filter(tenant__slug=slug).acount() == 1

    async def test_what_was_erased_is_not_made_again(self, operator, slug):
        wish, headers = {"slug": slug, "name": "Acme"}, {"Idempotency-Key": f"create-{slug}"}
        await operator.post("/tenants", json=wish, headers=headers)
        await operator.delete(f"/tenants/{slug}")
        await operator.post(f"/tenants/{slug}/erase", json={"slug": slug})

        repeat = await operator.post("/tenants", json=wish, headers=headers)

        assert (repeat.status_code, repeat.json()["code"]) == (409, "creation_gone")
        assert not await Tenant.objects.filter(slug=slug).aexists()

    @pytest.mark.parametrize("key", ["", "two words", "x" * 256, "é"])
    async def test_a_key_that_is_none_is_refused(self, operator, slug, key):
        answer = await operator.post(
            "/tenants",
            json={"slug": slug, "name": "Acme"},
            headers={"Idempotency-Key": key.encode()},
        )

        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


class TestList:
    async def test_pages_by_slug_with_filters_and_search(self, operator):
        mark = secrets.token_hex(5)
        slugs = [f"{mark}-{number:03d}" for number in range(5)]
        for slug in slugs:
            await operator.post("/tenants", json={"slug": slug, "name": f"Œuvre {mark[:3]}"})
        await operator.post(f"/tenants/{slugs[1]}/suspend")

        seen, after = [], None
        while True:
            query = {"search": mark, "limit": 2} | ({"after": after} if after else {})
            page = (await operator.get("/tenants", params=query)).json()
            seen += [tenant["slug"] for tenant in page["data"]]
            if not page["has_more"]:
                break
            after = page["next_cursor"]

        async def found(**query):
            page = (await operator.get("/tenants", params=query)).json()
            return [tenant["slug"] for tenant in page["data"]]

        assert seen == slugs
        assert await found(search=mark, status="suspended") == [slugs[1]]
        assert await found(search=mark, status="active", plan="standard") == [
            slug for slug in slugs if slug != slugs[1]
        ]
        assert await found(search=mark, plan="gold") == []
        # Beginnings of words, whatever their case; the digits after a hyphen are a word.
        assert await found(search=f"œuv {mark[:6].upper()} 003") == [slugs[3]]
        assert await found(search=mark[2:]) == []
        assert await found(search="' | & ! :* --") == []

    async def test_a_cursor_of_another_list_is_refused(self, operator, make_tenant):
        await make_tenant()
        await make_tenant()
        page = (await operator.get("/tenants", params={"limit": 1})).json()

        answer = await operator.get(
            "/tenants", params={"after": page["next_cursor"], "status": "active"}
        )

        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")

    @pytest.mark.parametrize(
        "query",
        [
            {"limit": 0},
            {"limit": 101},
            {"limit": "x"},
            {"status": "sleeping"},
            {"stauts": "active"},
        ],
    )
    async def test_a_wrong_filter_is_refused(self, operator, query):
        assert (await operator.get("/tenants", params=query)).status_code == 422


class TestChange:
    async def test_what_is_sent_changes_and_the_rest_stays(self, operator, tenant):
        path = f"/tenants/{tenant.slug}"
        await operator.patch(path, json={"limits": {"domains": 2}})
        changed = (
            await operator.patch(path, json={"name": "New", "slug": f"{tenant.slug}-b"})
        ).json()

        assert changed["name"] == "New"
        assert changed["limits"] == {"domains": 2}
        assert changed["schema"] == tenant.ref.schema
        assert (await operator.get(path)).status_code == 404
        cleared = await operator.patch(f"{path}-b", json={"limits": {}})
        assert cleared.json()["limits"] == {}

    async def test_a_taken_slug_is_refused(self, operator, make_tenant):
        one, other = await make_tenant(), await make_tenant()
        answer = await operator.patch(f"/tenants/{one.slug}", json={"slug": other.slug})

        assert (answer.status_code, answer.json()["code"]) == (409, "slug_taken")

    async def test_nothing_is_written_where_nothing_differs(self, operator, tenant):
        before = await AuditEntry.objects.filter(tenant_id=tenant.ref.id).acount()
        for body in ({}, {"name": tenant.row.name}, {"plan": "standard"}):
            await operator.patch(f"/tenants/{tenant.slug}", json=body)

        assert await AuditEntry.objects.filter(tenant_id=tenant.ref.id).acount() == before


class TestStates:
    async def test_a_life(self, operator, api, tenant):
        path = f"/tenants/{tenant.slug}"

        async def status_of_api(status):
            for _ in range(100):
                answer = await api.get("/conversations")
                if answer.status_code == status:
                    return answer.json().get("code")
                await asyncio.sleep(0.02)
            raise AssertionError(answer.text)

        assert (await operator.post(f"{path}/suspend")).json()["status"] == "suspended"
        assert await status_of_api(403) == "tenant_suspended"
        assert (await operator.post(f"{path}/resume")).json()["status"] == "active"
        await status_of_api(200)
        early = await operator.post(f"{path}/erase", json={"slug": tenant.slug})
        assert (early.status_code, early.json()["code"]) == (409, "wrong_state")
        assert (await operator.delete(path)).json()["status"] == "deleting"
        wrong = await operator.post(f"{path}/erase", json={"slug": "another"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "confirmation_mismatch")
        assert (await operator.post(f"{path}/erase", json={"slug": tenant.slug})).status_code == 204
        assert (await operator.get(path)).status_code == 404
        assert await status_of_api(401) == "unauthenticated"

    async def test_what_a_deleted_tenant_cannot_do_any_more(self, operator, tenant):
        path = f"/tenants/{tenant.slug}"
        await operator.delete(path)

        for method, tail, body in [
            ("POST", "/suspend", None),
            ("POST", "/resume", None),
            ("PATCH", "", {"name": "New"}),
            ("POST", "/keys", {"name": "New"}),
            ("POST", "/domains", {"host": "chat.example.com"}),
            ("POST", "/members", {"email": "a@example.com"}),
            ("PUT", "/modules/sample", None),
            ("GET", "/usage", None),
        ]:
            answer = await operator.request(method, path + tail, json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state"), tail


class TestModules:
    async def test_modules_are_given_and_taken(self, operator, make_tenant):
        tenant = await make_tenant(modules=["conversations"])
        path = f"/tenants/{tenant.slug}/modules"

        listed = {each["name"]: each for each in (await operator.get(path)).json()}
        assert listed["conversations"]["revision"] == listed["conversations"]["head"]
        assert (listed["sample"]["enabled"], listed["sample"]["revision"]) == (False, None)

        given = await operator.put(f"{path}/sample")
        assert given.json()["modules"] == ["conversations", "sample"]
        needed = await operator.delete(f"{path}/conversations")
        assert (needed.status_code, needed.json()["code"]) == (409, "wrong_state")
        taken = await operator.delete(f"{path}/sample")
        assert taken.json()["modules"] == ["conversations"]
        assert (await operator.put(f"{path}/billing")).status_code == 422


async def test_usage_counts_what_the_modules_hold(operator, api, tenant):
    before = (await operator.get(f"/tenants/{tenant.slug}/usage")).json()
    message = {"role": "user", "content": "x" * 5000}
    kept = (await api.post("/conversations", json={"messages": [message, message]})).json()
    gone = (await api.post("/conversations", json={"messages": [message]})).json()
    await api.delete(f"/conversations/{gone['id']}")

    usage = (await operator.get(f"/tenants/{tenant.slug}/usage")).json()

    assert kept
    assert usage["counts"]["conversations"] == {"conversations": 1, "messages": 2}
    assert usage["storage_bytes"] > before["storage_bytes"] > 0
