"""Rollouts in the admin: who is behind, carrying them, the page of a rollout and what it offers."""

import asyncio
from datetime import timedelta

import pytest
from django.utils import timezone

from tenants.admin import rollout_form
from tenants.models import AuditEntry, Rollout, RolloutAttempt
from tenants.rollouts import Options, Scope, show_rollout_id
from tests.tenants.admin_pages import TENANTS, problems_on, sign_in, words_of
from tests.tenants.crowd import recorded
from tests.tenants.rollouts.conftest import (
    NEW,
    NOTE,
    SLOW_NOTE,
    THINGS,
    execute,
    held,
    load,
    make_fleet,
    read_state,
    slugs,
)

__all__ = ["load", "make_fleet"]

ROLLOUTS = "/admin/tenants/rollout/"
ADD = f"{ROLLOUTS}add/"
VERBS = {"Resume": "resume", "Retry those that failed": "retry", "Cancel this rollout?": "cancel"}


@pytest.fixture
async def admin(application):
    """A superuser's browser."""
    async with await sign_in(application, is_superuser=True) as browser:
        yield browser


@pytest.fixture
def behind(make_fleet, load, monkeypatch):
    """A fleet that is behind, and no other for the form: `await behind(2, NOTE)`."""

    async def make(count, upgrade):
        fleet = await make_fleet(count)
        load(THINGS, upgrade)
        monkeypatch.setattr(rollout_form, "Scope", lambda: Scope(slugs(fleet), ["fleet"]))
        return fleet

    return make


@pytest.fixture
async def make_rollout():
    """A rollout that is only a row; nothing carries it out."""
    made = []

    async def make(status, **values):
        values = {
            "targets": {"fleet": "fleet_0002"},
            "scope": {"tenants": []},
            "options": Options().as_json(),
            "started_by": "command deploy",
            **values,
        }
        if status == "running":
            values = {
                "runner": "ops-1:812:x",
                "lease_ends_at": timezone.now() + timedelta(hours=1),
                **values,
            }
        made.append(await Rollout.objects.acreate(status=status, **values))
        return made[-1]

    yield make
    for rollout in made:
        await rollout.adelete()


async def note(rollout, tenant, error="", **values):
    """Write down an attempt."""
    values = {"milliseconds": 12.3, "at": timezone.now(), **values}
    return await RolloutAttempt.objects.acreate(
        rollout=rollout,
        tenant_id=tenant.ref.id,
        slug=tenant.slug,
        succeeded=not error,
        revisions={} if error else {"fleet": "fleet_0002"},
        error=error,
        **values,
    )


def page_of(rollout):
    return f"{ROLLOUTS}{rollout.pk}/change/"


async def do(admin, verb, rollout):
    """Press a button of a rollout's page."""
    return await admin.submit(page_of(rollout), f"{ROLLOUTS}{rollout.pk}/do/{verb}/")


async def ended(admin, page):
    """Watch as the page does, and then look at it."""
    async with asyncio.timeout(20):
        while "data-running" in (await admin.get(page.replace("/change/", "/progress/"))).text:
            await asyncio.sleep(0.02)
    return await admin.get(page)


class TestCarrying:
    async def test_who_is_behind_is_shown_and_then_carried(self, admin, behind):
        fleet = await behind(2, NOTE)

        shown = words_of(await admin.get(ADD))
        assert "2 schemas are behind, 0 are where they should be." in shown
        assert "fleet fleet_0001 fleet_0002 2" in shown
        assert " ".join(slugs(fleet)) in shown

        answer = await admin.submit(ADD, canary="1", concurrency="2", max_failures="")
        page = await ended(admin, answer.headers["Location"])

        assert answer.status_code == 302
        words = words_of(page)
        for text in (
            *("completed", "2 of 2 migrated", f"staff {admin.user.username}", "Canary 1 first"),
            *("At the same time 2", "Stops at 10 failed", "Waits for a lock 1,000 ms"),
            *(f"{tenant.slug} fleet_0002 1" for tenant in fleet),
        ):
            assert text in words
        assert 'id="failures"' not in page.text
        assert [await read_state(tenant) for tenant in fleet] == [NEW, NEW]
        entry = await AuditEntry.objects.filter(action="rollout.started").alatest("id")
        assert (entry.actor_kind, entry.actor_id) == ("staff", str(admin.user.pk))
        link = f"{ROLLOUTS}{entry.target.removeprefix('roll_')}/change/"
        assert link in (await admin.get("/admin/tenants/auditentry/")).text
        assert (await admin.get(link)).status_code == 200
        nobody = words_of(await admin.get(ADD))
        assert "Nobody: 2 schemas are where they should be." in nobody
        assert "Pause after" not in nobody

    async def test_who_failed_is_said_first_and_can_be_tried_again(self, admin, behind):
        fleet = await behind(2, NOTE)
        await execute(fleet[0], "ALTER TABLE fleet_things ADD COLUMN note text")

        page = (await admin.submit(ADD)).headers["Location"]

        words = words_of(await ended(admin, page))
        assert "1 of 2 migrated 1 failed" in words
        assert words.index("already exists") < words.index(f"{fleet[1].slug} fleet_0002")
        await execute(fleet[0], "ALTER TABLE fleet_things DROP COLUMN note")
        again = await admin.submit(page, page.replace("/change/", "/do/retry/"))
        assert again.headers["Location"] == page
        words = words_of(await ended(admin, page))
        assert "2 of 2 migrated" in words
        assert "already exists" not in words

    async def test_one_that_runs_is_cancelled_and_resumed(self, admin, behind, monkeypatch):
        monkeypatch.setattr("tenants.rollouts.runner._KEEP_UP_SECONDS", 0.02)
        fleet = await behind(4, SLOW_NOTE)
        async with held(*fleet):
            options = {"concurrency": "1", "lock_timeout_ms": "60000"}
            page = (await admin.submit(ADD, **options)).headers["Location"]
            second = await admin.submit(ADD)
            await admin.submit(page, page.replace("/change/", "/do/cancel/"))
        cancelled = words_of(await ended(admin, page))
        await admin.submit(page, page.replace("/change/", "/do/resume/"))
        resumed = words_of(await ended(admin, page))

        assert second.status_code == 409
        assert "is running, on" in problems_on(second)[0]
        assert "cancelled" in cancelled
        assert "4 of 4 migrated" in resumed
        assert [await read_state(tenant) for tenant in fleet] == [NEW] * 4

    @pytest.mark.parametrize(
        ("fields", "problem"),
        [
            ({"canary": "nobodys"}, "`canary` must be a number, or a group of the settings: none."),
            ({"concurrency": "0"}, "`concurrency` must be 1 to 64."),
            ({"concurrency": "many"}, "Enter a whole number."),
            ({"max_failures": "none"}, "`max_failures` must be a number of tenants from 1"),
            ({"lock_timeout_ms": "0"}, "`lock_timeout_ms` must be 1 to 60000."),
        ],
    )
    async def test_what_is_wrong_is_said_at_its_field(self, admin, monkeypatch, fields, problem):
        monkeypatch.setattr(rollout_form, "Scope", lambda: Scope([]))
        before = await Rollout.objects.acount()

        page = await admin.submit(ADD, **fields)

        (said,) = problems_on(page)
        assert said.startswith(problem)
        assert f'id="id_{next(iter(fields))}_error"' in page.text
        assert await Rollout.objects.acount() == before

    async def test_why_nobody_could_be_carried(self, admin, behind):
        await behind(1, "raise LookupError('needs rows')")

        assert "The revision `fleet_0002` can't be rendered" in words_of(await admin.get(ADD))

    async def test_whose_schema_this_release_does_not_know(self, admin, behind):
        (tenant,) = await behind(1, NOTE)
        await execute(
            tenant,
            "UPDATE tenantry.tenant_stamps SET revision = 'fleet_0099' "
            f"WHERE tenant_id = '{tenant.ref.id}'",
        )

        words = words_of(await admin.get(ADD))

        assert f"Can't be carried They count as failures, and stay as they are. {tenant.slug}" in (
            words
        )
        assert "no revision `fleet_0099` in this release" in words


class TestTheRolloutsPage:
    @pytest.mark.parametrize(
        ("status", "failed", "offered"),
        [
            ("running", 1, ["cancel"]),
            ("paused", 0, ["resume", "cancel"]),
            ("interrupted", 1, ["resume", "retry", "cancel"]),
            ("cancelled", 1, ["resume", "retry"]),
            ("failed", 1, ["resume", "retry"]),
            ("completed", 0, []),
        ],
    )
    async def test_what_can_be_done_with_it(self, admin, make_rollout, status, failed, offered):
        rollout = await make_rollout(status, planned=9, migrated=2, failed=failed)

        page = await admin.get(page_of(rollout))

        assert [verb for words, verb in VERBS.items() if words in page.text] == offered
        assert ("data-follow" in page.text) == (status == "running")

    async def test_where_only_failures_are_left_retrying_comes_first(self, admin, make_rollout):
        rollout = await make_rollout("failed", planned=3, migrated=2, failed=1)

        page = (await admin.get(page_of(rollout))).text

        assert page.index("/do/retry/") < page.index("/do/resume/")

    async def test_why_it_stopped(self, admin, make_rollout):
        dead = await make_rollout("running", lease_ends_at=timezone.now() - timedelta(seconds=1))

        words = words_of(await admin.get(page_of(dead)))

        assert "interrupted" in words
        assert "Its runner has died. Resume it to go on." in words

    async def test_one_that_is_asked_to_stop_says_so(self, admin, make_rollout):
        rollout = await make_rollout("running")

        await do(admin, "cancel", rollout)

        page = await admin.get(page_of(rollout))
        assert "It stops as soon as what is under way is done." in words_of(page)
        assert "/do/cancel/" not in page.text

    async def test_what_cannot_be_done_is_said(self, admin, make_rollout):
        rollout = await make_rollout("completed")

        answer = await do(admin, "cancel", rollout)

        assert answer.headers["Location"] == page_of(rollout)
        said = words_of(await admin.get(page_of(rollout)))
        assert f"The rollout `{show_rollout_id(rollout.pk)}` is completed." in said

    async def test_to_whom_and_how(self, admin, make_rollout):
        options = Options(canary="staging", pause=True, check_command="./smoke", batch=500)
        rollout = await make_rollout(
            "completed",
            targets={"fleet": None},
            scope={"tenants": [f"tenant-{number:02}" for number in range(12)]},
            options=options.as_json(),
        )

        words = words_of(await admin.get(page_of(rollout)))

        for text in (
            *("fleet no tables", "tenant-09 and 2 more", "the group staging, then a pause"),
            *("Check ./smoke", "Checked after 500 each", "Nobody was behind"),
        ):
            assert text in words

    async def test_attempts_come_in_pages_at_the_same_cost(self, admin, make_rollout, tenant):
        rollout = await make_rollout("failed")
        await admin.get(page_of(rollout))
        with recorded() as few:
            await admin.get(page_of(rollout))
        notes = [await note(rollout, tenant, milliseconds=1000 + number) for number in range(26)]
        with recorded() as many:
            page = await admin.get(page_of(rollout))

        assert len(few) == len(many)
        assert "1025 ms" in page.text
        assert "1000 ms" not in page.text
        older = f"?carried_before={notes[1].pk}"
        assert f'href="{older}#carried"' in page.text
        rest = await admin.get(f"{page_of(rollout)}{older}")
        assert "1000 ms" in rest.text
        assert "1001 ms" not in rest.text
        assert ">Newest<" in rest.text

    async def test_a_spares_schema_is_named(self, admin, make_rollout, tenant):
        rollout = await make_rollout("failed", planned=1, failed=1)
        attempt = await note(rollout, tenant, "no space left")
        await RolloutAttempt.objects.filter(pk=attempt.pk).aupdate(slug="")

        assert f"a spare {tenant.ref.schema} no space left" in words_of(
            await admin.get(page_of(rollout))
        )

    async def test_one_that_is_gone_leads_to_the_first_page(self, admin):
        for path in ("01a21075-8a1c-774d-923c-cf35ead5cf5a", "x"):
            answer = await admin.get(f"{ROLLOUTS}{path}/change/")
            assert answer.headers["Location"] == "/admin/"
        gone = await admin.get(f"{ROLLOUTS}01a21075-8a1c-774d-923c-cf35ead5cf5a/progress/")
        assert gone.status_code == 404

    async def test_there_is_no_other_verb(self, admin, make_rollout):
        assert (await do(admin, "explode", await make_rollout("failed"))).status_code == 404


class TestElsewhere:
    async def test_the_list_shows_how_far_each_is(self, admin, make_rollout):
        await make_rollout("running", planned=1284, migrated=864, failed=2)

        words = words_of(await admin.get(ROLLOUTS))

        assert "running fleet_0002 864 of 1,284 migrated 2 failed command deploy" in words

    async def test_the_first_page_shows_one_that_wants_to_be_looked_at(self, admin, make_rollout):
        rollout = await make_rollout("paused", planned=3, migrated=1)
        shown = await admin.get("/admin/")
        await Rollout.objects.filter(pk=rollout.pk).aupdate(status="completed")
        over = await admin.get("/admin/")

        assert "1 of 3 migrated" in words_of(shown)
        assert page_of(rollout) in shown.text
        assert page_of(rollout) not in over.text

    async def test_a_tenants_page_says_why_it_could_not_be_carried_until_it_was(
        self, admin, make_rollout, tenant
    ):
        rollout = await make_rollout("failed")
        await note(rollout, tenant, "table is full")
        path = f"{TENANTS}{tenant.row.pk}/change/"

        failed = await admin.get(path)
        await note(rollout, tenant)
        mended = await admin.get(path)

        assert "table is full" in failed.text
        assert page_of(rollout) in failed.text
        assert "table is full" not in mended.text


class TestPermissions:
    async def test_somebody_who_may_only_look_is_offered_nothing_to_do(
        self, application, make_rollout
    ):
        rollout = await make_rollout("paused")
        async with await sign_in(application, "view_rollout") as viewer:
            page = await viewer.get(page_of(rollout))

            assert page.status_code == 200
            assert "/do/" not in page.text
            assert ADD not in (await viewer.get(ROLLOUTS)).text
            assert (await viewer.get(ADD)).status_code == 403

    @pytest.mark.parametrize("verb", ["cancel", "resume", "retry"])
    async def test_each_verb_needs_its_permission(self, application, make_rollout, verb):
        rollout = await make_rollout("paused")
        async with await sign_in(application, "view_rollout", "add_rollout") as browser:
            assert (await do(browser, verb, rollout)).status_code == 403
        await rollout.arefresh_from_db()
        assert rollout.status == "paused"

    async def test_whoever_may_not_even_look_sees_nothing(self, application, make_rollout):
        rollout = await make_rollout("paused")
        async with await sign_in(application, "view_tenant") as other:
            for path in (page_of(rollout), ROLLOUTS, f"{ROLLOUTS}{rollout.pk}/progress/"):
                assert (await other.get(path)).status_code == 403
            assert page_of(rollout) not in (await other.get("/admin/")).text
