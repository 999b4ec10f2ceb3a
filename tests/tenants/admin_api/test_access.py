"""Keys, domains and members over the management API."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from tenants.apps import get_settings
from tenants.models import AuditEntry, Domain
from tests.tenants.name_server import NameServer


@pytest.fixture
async def name_server(monkeypatch):
    """A DNS server on this machine, which the settings name for the test."""
    async with NameServer() as server:
        settings = get_settings()
        monkeypatch.setattr(settings, "dns_servers", [server.address])
        monkeypatch.setattr(settings, "dns_timeout_seconds", 1.0)
        yield server


@pytest.fixture
def host():
    return f"{secrets.token_hex(5)}.example.com"


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


async def read_with(client, key, status):
    """Ask the tenant API until it answers with this status, for at most two seconds."""
    for _ in range(100):
        answer = await client.get("/api/v1/conversations", headers=bearer(key))
        if answer.status_code == status:
            return answer
        await asyncio.sleep(0.02)
    raise AssertionError(answer.text)


class TestKeys:
    async def test_a_key_is_issued_listed_and_revoked(self, operator, client, make_tenant):
        tenant = await make_tenant()
        path = f"/tenants/{tenant.slug}/keys"
        made = await operator.post(path, json={"name": "Reader", "scopes": ["read"]})
        key = made.json()

        assert made.status_code == 201
        await read_with(client, key["key"], 200)
        refused = await client.post("/api/v1/conversations", json={}, headers=bearer(key["key"]))
        assert refused.status_code == 403
        listed = (await operator.get(path)).json()["data"]
        assert [each["name"] for each in listed] == ["Reader", "First key"]
        assert "key" not in listed[0]

        ended = (await operator.post(f"{path}/{key['public_id']}/revoke")).json()
        again = (await operator.post(f"{path}/{key['public_id']}/revoke")).json()
        assert ended["revoked_at"] == again["revoked_at"] is not None
        await read_with(client, key["key"], 401)

    async def test_a_rotated_key_goes_on_for_the_overlap(self, operator, client, make_tenant):
        tenant = await make_tenant()
        path = f"/tenants/{tenant.slug}/keys"
        expires = datetime.now(UTC) + timedelta(days=90)
        old = (
            await operator.post(
                path,
                json={"name": "App", "scopes": ["read"], "expires_at": expires.isoformat()},
            )
        ).json()

        new = (
            await operator.post(f"{path}/{old['public_id']}/rotate", json={"overlap_seconds": 60})
        ).json()

        assert [new[name] for name in ("name", "scopes", "expires_at")] == [
            old[name] for name in ("name", "scopes", "expires_at")
        ]
        await read_with(client, new["key"], 200)
        await read_with(client, old["key"], 200)
        rows = {row["public_id"]: row for row in (await operator.get(path)).json()["data"]}
        ends = datetime.fromisoformat(rows[old["public_id"]]["expires_at"])
        assert timedelta(seconds=50) < ends - datetime.now(UTC) <= timedelta(seconds=60)

        await operator.post(f"{path}/{new['public_id']}/rotate", json={"overlap_seconds": 0})
        await read_with(client, new["key"], 401)

    async def test_a_rotation_never_prolongs_the_old_key(self, operator, tenant):
        path = f"/tenants/{tenant.slug}/keys"
        soon = (datetime.now(UTC) + timedelta(seconds=30)).isoformat()
        old = (await operator.post(path, json={"name": "App", "expires_at": soon})).json()
        await operator.post(f"{path}/{old['public_id']}/rotate", json={})

        rows = {row["public_id"]: row for row in (await operator.get(path)).json()["data"]}
        assert rows[old["public_id"]]["expires_at"] == old["expires_at"]

    async def test_a_key_that_has_ended_is_not_rotated(self, operator, tenant):
        path = f"/tenants/{tenant.slug}/keys"
        old = (await operator.post(path, json={"name": "App"})).json()
        await operator.post(f"{path}/{old['public_id']}/revoke")

        answer = await operator.post(f"{path}/{old['public_id']}/rotate", json={})

        assert (answer.status_code, answer.json()["code"]) == (409, "key_ended")

    async def test_a_repeated_rotation_makes_one_key(self, operator, tenant):
        path = f"/tenants/{tenant.slug}/keys"
        old = (await operator.post(path, json={"name": "App"})).json()
        rotate = f"{path}/{old['public_id']}/rotate"
        headers = {"Idempotency-Key": secrets.token_hex(8)}

        answers = await asyncio.gather(
            *(operator.post(rotate, json={}, headers=headers) for _ in range(5))
        )

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.json()["key"] for answer in answers}) == 1
        replayed = [answer.headers.get("idempotent-replayed") for answer in answers]
        assert sorted(map(str, replayed)) == ["None"] + ["true"] * 4
        assert len((await operator.get(path)).json()["data"]) == 3

    async def test_an_idempotency_key_is_of_its_path(self, operator, make_tenant):
        one, other = await make_tenant(), await make_tenant()
        headers = {"Idempotency-Key": secrets.token_hex(8)}
        body = {"name": "App"}
        await operator.post(f"/tenants/{one.slug}/keys", json=body, headers=headers)

        answer = await operator.post(f"/tenants/{other.slug}/keys", json=body, headers=headers)

        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")

    async def test_the_limit_counts_keys_that_live(self, operator, tenant):
        path = f"/tenants/{tenant.slug}/keys"
        await operator.patch(f"/tenants/{tenant.slug}", json={"limits": {"api_keys": 2}})
        second = (await operator.post(path, json={"name": "Second"})).json()

        full = await operator.post(path, json={"name": "Third"})
        assert (full.status_code, full.json()["code"]) == (409, "limit_reached")
        # A replacement is not one more.
        rotated = await operator.post(f"{path}/{second['public_id']}/rotate", json={})
        assert rotated.status_code == 201
        for key in (second, rotated.json()):
            await operator.post(f"{path}/{key['public_id']}/revoke")
        assert (await operator.post(path, json={"name": "Third"})).status_code == 201

    async def test_a_limit_holds_under_a_race(self, operator, tenant):
        path = f"/tenants/{tenant.slug}/keys"
        await operator.patch(f"/tenants/{tenant.slug}", json={"limits": {"api_keys": 3}})

        answers = await asyncio.gather(
            *(operator.post(path, json={"name": f"Key {number}"}) for number in range(8))
        )

        assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 6

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": ""},
            {"name": "K", "scopes": []},
            {"name": "K", "scopes": ["everything"]},
            {"name": "K", "expires_at": "2001-01-01T00:00:00Z"},
            {"name": "K", "expires_at": "2099-01-01T00:00:00"},
            {"name": "K", "expires_at": "tomorrow"},
            {"name": "K", "public_id": "x"},
        ],
    )
    async def test_a_wrong_value_is_refused(self, operator, tenant, body):
        answer = await operator.post(f"/tenants/{tenant.slug}/keys", json=body)

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        assert answer.json()["errors"]

    @pytest.mark.parametrize("overlap", [-1, 31 * 86400, 2**63, "60", 1.5])
    async def test_an_overlap_has_bounds(self, operator, tenant, overlap):
        path = f"/tenants/{tenant.slug}/keys"
        key = (await operator.get(path)).json()["data"][0]["public_id"]
        answer = await operator.post(f"{path}/{key}/rotate", json={"overlap_seconds": overlap})
        assert answer.status_code == 422

    async def test_another_tenants_key_is_not_found(self, operator, make_tenant):
        one, other = await make_tenant(), await make_tenant()
        theirs = (await operator.get(f"/tenants/{other.slug}/keys")).json()["data"][0]["public_id"]
        for verb in ("rotate", "revoke"):
            answer = await operator.post(f"/tenants/{one.slug}/keys/{theirs}/{verb}", json={})
            assert (answer.status_code, answer.json()["code"]) == (404, "key_not_found")


class TestDomains:
    async def test_a_domain_is_served_once_dns_says_whose_it_is(
        self, operator, client, make_tenant, name_server, host
    ):
        tenant = await make_tenant()
        path = f"/tenants/{tenant.slug}/domains"
        headers = tenant.headers | {"Host": host}
        added = await operator.post(path, json={"host": host.upper()})
        record = added.json()["dns_record"]
        assert (added.status_code, added.json()["verified_at"]) == (201, None)
        assert (await client.get("/api/v1/conversations", headers=headers)).status_code == 400

        early = await operator.post(f"{path}/{host}/verify")
        assert (early.status_code, early.json()["code"]) == (409, "domain_not_verified")
        assert record["name"] in early.json()["detail"]
        assert record["value"] in early.json()["detail"]

        name_server.texts[record["name"]] = ["v=spf1 -all", record["value"]]
        verified = (await operator.post(f"{path}/{host}/verify")).json()
        assert verified["verified_at"] is not None
        assert (await client.get("/api/v1/conversations", headers=headers)).status_code == 200

        name_server.texts.clear()  # It was asked once, and stays verified.
        assert (await operator.post(f"{path}/{host}/verify")).json() == verified

        assert (await operator.delete(f"{path}/{host}")).status_code == 204
        for _ in range(100):
            answer = await client.get("/api/v1/conversations", headers=headers)
            if answer.status_code == 400:
                break
            await asyncio.sleep(0.02)
        assert answer.json()["code"] == "invalid_host"

    async def test_whoever_proves_it_has_it_however_many_claim_it(
        self, operator, make_tenant, name_server, host
    ):
        squatter, owner = await make_tenant(), await make_tenant()
        await operator.post(f"/tenants/{squatter.slug}/domains", json={"host": host})
        record = (
            await operator.post(f"/tenants/{owner.slug}/domains", json={"host": host})
        ).json()["dns_record"]
        name_server.texts[record["name"]] = [record["value"]]

        theirs = await operator.post(f"/tenants/{squatter.slug}/domains/{host}/verify")
        ours = await operator.post(f"/tenants/{owner.slug}/domains/{host}/verify")

        assert theirs.json()["code"] == "domain_not_verified"
        assert ours.status_code == 200
        late = await operator.post(f"/tenants/{squatter.slug}/domains/{host}/verify")
        assert late.status_code == 409
        third = await make_tenant()
        taken = await operator.post(f"/tenants/{third.slug}/domains", json={"host": host})
        assert (taken.status_code, taken.json()["code"]) == (409, "domain_taken")

    async def test_two_that_both_prove_it_cannot_both_have_it(
        self, operator, make_tenant, name_server, host
    ):
        tenants = [await make_tenant() for _ in range(2)]
        for tenant in tenants:
            path = f"/tenants/{tenant.slug}/domains"
            record = (await operator.post(path, json={"host": host})).json()["dns_record"]
            name_server.texts.setdefault(record["name"], []).append(record["value"])

        answers = await asyncio.gather(
            *(operator.post(f"/tenants/{t.slug}/domains/{host}/verify") for t in tenants)
        )

        assert sorted(answer.status_code for answer in answers) == [200, 409]
        loser = next(answer for answer in answers if answer.status_code == 409)
        assert loser.json()["code"] == "domain_taken"
        assert await Domain.objects.filter(host=host, verified_at__isnull=False).acount() == 1

    async def test_a_silent_name_server_is_no_answer(self, operator, tenant, name_server, host):
        name_server.silent = True
        await operator.post(f"/tenants/{tenant.slug}/domains", json={"host": host})

        answer = await operator.post(f"/tenants/{tenant.slug}/domains/{host}/verify")

        assert (answer.status_code, answer.json()["code"]) == (503, "dns_unavailable")
        assert answer.headers["retry-after"] == "5"

    async def test_adding_again_changes_nothing(self, operator, tenant, host):
        path = f"/tenants/{tenant.slug}/domains"
        first, second = [await operator.post(path, json={"host": host}) for _ in range(2)]

        assert first.json() == second.json()
        added = AuditEntry.objects.filter(tenant_id=tenant.ref.id, action="domain.added")
        assert await added.acount() == 1

    @pytest.mark.parametrize(
        "host",
        [
            *("", "localhost", "other.localhost", "a.b.localhost", "127.0.0.1", "[::1]"),
            *("chat.example.com:8000", "https://chat.example.com", "chat_1.example.com"),
            *("-.example.com", "example", "a" * 64 + ".com", "exa mple.com", "*.example.com"),
        ],
    )
    async def test_what_is_no_host_of_a_tenants_own_is_refused(self, operator, tenant, host):
        answer = await operator.post(f"/tenants/{tenant.slug}/domains", json={"host": host})

        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
        assert answer.json()["errors"][0]["field"] == "host"

    async def test_the_limit_holds(self, operator, tenant):
        path = f"/tenants/{tenant.slug}"
        await operator.patch(path, json={"limits": {"domains": 1}})
        hosts = [f"{number}.{tenant.slug}.example.com" for number in range(2)]
        first, second = [
            await operator.post(f"{path}/domains", json={"host": host}) for host in hosts
        ]

        assert (first.status_code, second.status_code) == (201, 409)
        assert second.json()["code"] == "limit_reached"

    async def test_an_unknown_domain_is_not_found(self, operator, tenant):
        path = f"/tenants/{tenant.slug}/domains/nobody.example.com"
        for answer in (await operator.post(f"{path}/verify"), await operator.delete(path)):
            assert (answer.status_code, answer.json()["code"]) == (404, "domain_not_found")


class TestMembers:
    async def test_somebody_is_invited_given_a_role_and_removed(self, operator, tenant):
        path = f"/tenants/{tenant.slug}/members"
        email = f"anna@{tenant.slug}.example.com"
        invited = (await operator.post(path, json={"email": email.upper()})).json()
        assert (invited["email"], invited["role"], invited["status"]) == (
            email,
            "member",
            "invited",
        )
        again = (await operator.post(path, json={"email": email, "role": "viewer"})).json()
        assert (again["id"], again["role"]) == (invited["id"], "viewer")
        assert again["url"] != invited["url"]

        changed = await operator.patch(f"{path}/{email}", json={"role": "admin"})
        assert changed.json()["role"] == "admin"
        by_id = await operator.patch(f"{path}/{invited['id']}", json={"role": "owner"})
        assert by_id.json()["role"] == "owner"
        listed = (await operator.get(path)).json()["data"]
        assert [(each["email"], each["role"]) for each in listed] == [(email, "owner")]
        assert "url" not in listed[0]

        assert (await operator.delete(f"{path}/{invited['id']}")).status_code == 204
        gone = await operator.delete(f"{path}/{invited['id']}")
        assert (gone.status_code, gone.json()["code"]) == (404, "member_not_found")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"email": "nobody"}, "email"),
            ({"email": f"{'a' * 150}@example.com"}, "email"),
            ({"email": "a@example.com\nBcc: b@example.com"}, "email"),
            ({"email": "a@example.com", "role": "king"}, "role"),
        ],
    )
    async def test_a_wrong_value_is_named(self, operator, tenant, body, field):
        answer = await operator.post(f"/tenants/{tenant.slug}/members", json=body)

        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [field]

    async def test_pages(self, operator, tenant):
        path = f"/tenants/{tenant.slug}/members"
        emails = [f"m{number}@example.com" for number in range(5)]
        for email in emails:
            await operator.post(path, json={"email": email})

        seen, after = [], None
        while True:
            query = {"limit": 2} | ({"after": after} if after else {})
            page = (await operator.get(path, params=query)).json()
            seen += [member["email"] for member in page["data"]]
            if not page["has_more"]:
                break
            after = page["next_cursor"]

        assert seen == emails
