"""Carrying the fleet to its heads: past those that fail, in stages, and again after a stop."""

import asyncio

import pytest
from sqlalchemy import text

from tenants import errors, lifecycle
from tenants.lifecycle import owner_connection
from tenants.models import AuditEntry, Rollout, RolloutAttempt, RolloutStatus, Tenant, TenantStatus
from tenants.rollouts import (
    Checked,
    Ended,
    Options,
    Planned,
    Postponed,
    Scope,
    Staged,
    Tried,
    Waiting,
    cancel_rollout,
    get_rollout,
    list_attempts,
    plan_rollout,
    rehearse_rollout,
    resume_rollout,
    retry_rollout,
    runner,
    show_rollout_id,
    start_rollout,
)
from tenants.testing import TESTER
from tests.tenants.rollouts.conftest import (
    DROP_NOTE,
    NEW,
    NOTE,
    OLD,
    SLOW_NOTE,
    THINGS,
    execute,
    read_state,
    slugs,
)

ONE = Options(concurrency=1)


class Watched(list):
    """The events of a run."""

    def __call__(self, event):
        self.append(event)

    def of(self, kind):
        return [event for event in self if isinstance(event, kind)]

    @property
    def errors(self):
        return {each.attempt.slug: each.attempt.error for each in self.of(Tried)}


async def carry(fleet, options=ONE, **scope):
    """Run a rollout for these tenants in the module `fleet`; return it and its events."""
    watched = Watched()
    scope = Scope(slugs(fleet), **({"modules": ["fleet"]} | scope))
    rollout = await start_rollout(scope, options, watched, by=TESTER)
    return rollout, watched


async def states(fleet):
    return [await read_state(tenant) for tenant in fleet]


class TestRun:
    async def test_all_are_carried_and_written_down(self, make_fleet, load):
        fleet = await make_fleet(3)
        load(THINGS, NOTE)

        rollout, watched = await carry(fleet)

        assert await states(fleet) == [NEW] * 3
        assert (rollout.status, rollout.planned, rollout.migrated, rollout.failed) == (
            "completed",
            3,
            3,
            0,
        )
        assert rollout.targets == {"fleet": "fleet_0002"}
        shown = show_rollout_id(rollout.id)
        assert watched[0] == Planned(shown, {"fleet": "fleet_0002"}, 3, 0)
        assert isinstance(watched[-1], Ended)
        attempts = await list_attempts(shown)
        assert [attempt.slug for attempt in attempts] == slugs(fleet)
        assert all(attempt.succeeded and attempt.tries == 1 for attempt in attempts)
        assert all(attempt.revisions == {"fleet": "fleet_0002"} for attempt in attempts)
        entry = await AuditEntry.objects.filter(target=shown).aget()
        assert (entry.action, entry.actor_name) == ("rollout.started", TESTER.name)

    async def test_a_second_run_finds_nothing_to_do(self, make_fleet, load):
        fleet = await make_fleet(2)
        load(THINGS, NOTE)
        await carry(fleet)

        rollout, watched = await carry(fleet)

        assert (rollout.status, rollout.planned, rollout.migrated) == ("completed", 0, 0)
        assert watched.of(Planned)[0].current == 2
        assert watched.of(Tried) == []

    async def test_without_names_every_tenant_and_spare_is_carried(self, make_fleet, load):
        fleet = await make_fleet(2)
        load(THINGS, NOTE)

        await start_rollout(Scope(), Options(), Watched(), by=TESTER)

        assert await states(fleet) == [NEW, NEW]
        assert (await plan_rollout(Scope())).work == []

    async def test_down_and_up_again(self, make_fleet, load):
        fleet = await make_fleet(2)
        load(THINGS, {"upgrade": NOTE, "downgrade": DROP_NOTE})
        await carry(fleet)

        await carry(fleet, targets={"fleet": "fleet_0001"})
        assert await states(fleet) == [OLD, OLD]
        await carry(fleet)
        assert await states(fleet) == [NEW, NEW]

    async def test_down_to_nothing(self, make_fleet, load):
        fleet = await make_fleet(1)
        load({"upgrade": THINGS, "downgrade": "op.drop_table('fleet_things')"})

        await carry(fleet, targets={"fleet": None})
        assert await states(fleet) == [(None, None, False)]
        await carry(fleet)
        assert await states(fleet) == [OLD]

    async def test_only_the_named_modules_are_carried(self, make_fleet, load):
        fleet = await make_fleet(1)
        load(THINGS, NOTE)
        await carry(fleet, modules=["conversations"])
        assert await states(fleet) == [OLD]

    async def test_suspended_tenants_go_along_and_those_made_or_deleted_stay_behind(
        self, make_fleet, load
    ):
        fleet = await make_fleet(3)
        await lifecycle.suspend_tenant(fleet[0].slug, by=TESTER)
        await lifecycle.delete_tenant(fleet[1].slug, by=TESTER)
        await Tenant.objects.filter(id=fleet[2].ref.id).aupdate(status=TenantStatus.PROVISIONING)
        load(THINGS, NOTE)

        await start_rollout(Scope(modules=["fleet"]), ONE, Watched(), by=TESTER)

        assert await states(fleet) == [NEW, OLD, OLD]

    async def test_a_tenant_created_in_mid_run_ends_at_head(self, make_fleet, make_tenant, load):
        """Also one that another process, of the release before, creates behind the head."""
        fleet = await make_fleet(3)
        load(THINGS, SLOW_NOTE)
        run = asyncio.create_task(
            start_rollout(Scope(modules=["fleet"]), ONE, Watched(), by=TESTER)
        )
        while await read_state(fleet[0]) == OLD:
            await asyncio.sleep(0.005)
        load(THINGS)
        newcomer = await make_tenant(modules=["fleet"])
        assert await read_state(newcomer) == OLD
        load(THINGS, SLOW_NOTE)

        await run

        assert await read_state(newcomer) == NEW
        await lifecycle.delete_tenant(newcomer.slug, by=TESTER)
        await lifecycle.erase_tenant(newcomer.slug, newcomer.slug, by=TESTER)


class TestKinds:
    async def test_a_revision_that_works_on_rows_in_python(self, make_fleet, load):
        fleet = await make_fleet(2)
        for tenant in fleet:
            await execute(
                tenant,
                "INSERT INTO fleet_things SELECT gen_random_uuid() FROM generate_series(1, 3)",
            )
        python = (
            "rows = op.get_bind().execute(sa.text('SELECT id FROM fleet_things')).scalars().all()\n"
            "for row in rows:\n"
            "    op.get_bind().execute(sa.text('UPDATE fleet_things SET note = :note "
            "WHERE id = :id'), {'note': str(row)[:3], 'id': row})"
        )
        load(THINGS, NOTE, {"upgrade": python, "marks": "online = True"}, "op.execute('SELECT 1')")

        rollout, _ = await carry(fleet)

        assert rollout.status == "completed"
        for tenant in fleet:
            assert await read_state(tenant) == ("fleet_0004", "fleet_0004", True)
            async with owner_connection() as connection:
                wrong = await connection.execute(
                    text(
                        f'SELECT count(*) FROM "{tenant.ref.schema}".fleet_things '
                        "WHERE note IS DISTINCT FROM left(id::text, 3)"
                    )
                )
                assert wrong.scalar_one() == 0

    async def test_schemas_whose_python_runs_at_the_same_time_each_get_their_own(
        self, make_fleet, load
    ):
        fleet = await make_fleet(8)
        python = (
            "op.execute('SELECT pg_sleep(random() * 0.02)')\n"
            "op.execute('INSERT INTO fleet_things SELECT gen_random_uuid()')"
        )
        load(THINGS, NOTE, {"upgrade": python, "marks": "online = True"})

        rollout, watched = await carry(fleet, Options(concurrency=4))

        assert (rollout.status, watched.errors) == ("completed", dict.fromkeys(slugs(fleet), ""))
        async with owner_connection() as connection:
            for tenant in fleet:
                rows = await connection.execute(
                    text(f'SELECT count(*) FROM "{tenant.ref.schema}".fleet_things')
                )
                assert rows.scalar_one() == 1

    async def test_a_revision_outside_a_transaction(self, make_fleet, load):
        fleet = await make_fleet(2)
        index = (
            "op.create_index('fleet_things_note_idx', 'fleet_things', ['note'], "
            "schema='tenant_schema', postgresql_concurrently=True, if_not_exists=True)"
        )
        load(THINGS, NOTE, {"upgrade": index, "marks": "transactional = False"})
        # What an earlier try left, cut off in the middle of building.
        await execute(fleet[0], "ALTER TABLE fleet_things ADD COLUMN note text")
        await execute(fleet[0], "CREATE INDEX fleet_things_note_idx ON fleet_things (note)")
        await execute(fleet[0], "ALTER TABLE fleet_things DROP COLUMN note")
        async with owner_connection() as connection:
            await connection.execute(text("SELECT 1"))

        rollout, watched = await carry(fleet)

        assert (rollout.status, watched.errors) == ("completed", dict.fromkeys(slugs(fleet), ""))
        for tenant in fleet:
            assert await read_state(tenant) == ("fleet_0003", "fleet_0003", True)
            async with owner_connection() as connection:
                valid = await connection.execute(
                    text(
                        "SELECT indisvalid FROM pg_index WHERE indexrelid = "
                        f"to_regclass('\"{tenant.ref.schema}\".fleet_things_note_idx')"
                    )
                )
                assert valid.scalar_one() is True

    async def test_onboarding_goes_over_all_kinds_in_one_transaction(
        self, make_fleet, make_tenant, load
    ):
        load(
            THINGS,
            NOTE,
            {
                "upgrade": "op.execute('CREATE INDEX CONCURRENTLY IF NOT EXISTS fleet_idx "
                "ON tenant_schema.fleet_things (note)')",
                "marks": "transactional = False",
            },
            {
                "upgrade": "op.get_bind().execute(sa.text('SELECT count(*) FROM fleet_things'))",
                "marks": "online = True",
            },
        )
        tenant = await make_tenant(modules=["fleet"])
        assert await read_state(tenant) == ("fleet_0004", "fleet_0004", True)
        await lifecycle.delete_tenant(tenant.slug, by=TESTER)
        await lifecycle.erase_tenant(tenant.slug, tenant.slug, by=TESTER)

    async def test_a_revision_that_cannot_be_rendered_stops_before_anything_is_done(
        self, make_fleet, load
    ):
        fleet = await make_fleet(2)
        load(THINGS, "raise LookupError('needs rows')")

        with pytest.raises(errors.BrokenRevision, match=r"fleet_0002.*needs rows"):
            await carry(fleet)

        assert await states(fleet) == [OLD, OLD]


async def lie_about_the_version(tenant):
    await execute(tenant, "UPDATE alembic_version SET version_num = 'fleet_0002'")


async def be_ahead_of_this_release(tenant):
    await execute(tenant, "UPDATE alembic_version SET version_num = 'fleet_0099'")
    await execute(
        tenant,
        "UPDATE tenantry.tenant_stamps SET revision = 'fleet_0099' "
        f"WHERE tenant_id = '{tenant.ref.id}'",
    )


async def have_the_column_already(tenant):
    await execute(tenant, "ALTER TABLE fleet_things ADD COLUMN note text")


async def lose_the_schema(tenant):
    await execute(tenant, f'DROP SCHEMA "{tenant.ref.schema}" CASCADE')


async def have_a_module_that_is_gone(tenant):
    await Tenant.objects.filter(id=tenant.ref.id).aupdate(modules=["fleet", "gone"])


class TestFailures:
    @pytest.mark.parametrize(
        ("harm", "reason"),
        [
            (lie_about_the_version, "alembic_version has fleet_0002"),
            (be_ahead_of_this_release, "no revision `fleet_0099` in this release"),
            (have_the_column_already, "already exists"),
            (lose_the_schema, "alembic_version"),
            (have_a_module_that_is_gone, "no module `gone`"),
        ],
    )
    async def test_one_that_fails_is_reported_and_the_others_go_on(
        self, make_fleet, load, harm, reason
    ):
        fleet = await make_fleet(3)
        await harm(fleet[1])
        load(THINGS, NOTE)

        rollout, watched = await carry(fleet)

        assert (rollout.status, rollout.migrated, rollout.failed) == ("failed", 2, 1)
        assert {slug for slug, error in watched.errors.items() if error} == {fleet[1].slug}
        assert reason in watched.errors[fleet[1].slug]
        (failed,) = await list_attempts(show_rollout_id(rollout.id), succeeded=False)
        assert (failed.slug, failed.revisions) == (fleet[1].slug, {})
        assert reason in failed.error
        assert [await read_state(fleet[0]), await read_state(fleet[2])] == [NEW, NEW]

    async def test_an_error_never_shows_rows(self, make_fleet, load):
        fleet = await make_fleet(1)
        await execute(fleet[0], "ALTER TABLE fleet_things ADD COLUMN word text")
        await execute(
            fleet[0],
            "INSERT INTO fleet_things SELECT gen_random_uuid(), 'a secret' "
            "FROM generate_series(1, 2)",
        )
        load(THINGS, "op.execute('CREATE UNIQUE INDEX fleet_word_key ON fleet_things (word)')")

        _, watched = await carry(fleet)

        (error,) = watched.errors.values()
        assert "UniqueViolationError 23505" in error
        assert "secret" not in error

    @pytest.mark.parametrize(("limit", "tried"), [("2", 2), ("50%", 3), ("100", 6)])
    async def test_too_many_failures_stop_the_run(self, make_fleet, load, limit, tried):
        fleet = await make_fleet(6)
        for tenant in fleet:
            await have_the_column_already(tenant)
        load(THINGS, NOTE)

        rollout, watched = await carry(fleet, Options(concurrency=1, max_failures=limit))

        assert rollout.status == "failed"
        assert len(watched.of(Tried)) == tried == rollout.failed

    async def test_those_that_failed_are_tried_again_alone(self, make_fleet, load):
        fleet = await make_fleet(3)
        await have_the_column_already(fleet[1])
        load(THINGS, NOTE)
        rollout, _ = await carry(fleet)
        await execute(fleet[1], "ALTER TABLE fleet_things DROP COLUMN note")

        watched = Watched()
        retried = await retry_rollout(show_rollout_id(rollout.id), watched, by=TESTER)

        assert list(watched.errors) == [fleet[1].slug]
        assert (retried.status, retried.planned, retried.migrated, retried.failed) == (
            "completed",
            3,
            3,
            0,
        )
        assert await states(fleet) == [NEW] * 3

    async def test_a_retry_after_an_early_stop_leaves_the_rest_to_be_resumed(
        self, make_fleet, load
    ):
        fleet = await make_fleet(4)
        await have_the_column_already(fleet[1])
        load(THINGS, NOTE)
        rollout, _ = await carry(fleet, Options(concurrency=1, max_failures="1"))
        assert await states(fleet) == [NEW, (*OLD[:2], True), OLD, OLD]
        await execute(fleet[1], "ALTER TABLE fleet_things DROP COLUMN note")
        shown = show_rollout_id(rollout.id)

        retried = await retry_rollout(shown, Watched(), by=TESTER)

        assert (retried.status, retried.migrated, retried.failed) == ("paused", 2, 0)
        assert retried.note == "2 more are behind. Resume it to go on."
        assert await states(fleet) == [NEW, NEW, OLD, OLD]
        resumed = await resume_rollout(shown, Watched(), by=TESTER)
        assert (resumed.status, resumed.migrated) == ("completed", 4)

    async def test_resuming_leaves_those_that_failed_alone(self, make_fleet, load):
        fleet = await make_fleet(4)
        await have_the_column_already(fleet[0])
        load(THINGS, NOTE)
        rollout, _ = await carry(fleet, Options(concurrency=1, max_failures="1"))
        assert (rollout.status, rollout.note) == ("failed", "1 failed, which is the limit.")
        assert await states(fleet[1:]) == [OLD] * 3

        watched = Watched()
        resumed = await resume_rollout(show_rollout_id(rollout.id), watched, by=TESTER)

        assert list(watched.errors) == slugs(fleet[1:])
        assert (resumed.status, resumed.migrated, resumed.failed) == ("failed", 3, 1)

    async def test_an_unknown_name_is_refused_before_anything_is_done(self, make_fleet, load):
        fleet = await make_fleet(1)
        load(THINGS, NOTE)
        before = await Rollout.objects.acount()
        for refusal, scope, options in [
            (errors.TenantNotFound, Scope([fleet[0].slug, "nobody"]), ONE),
            (errors.InvalidInput, Scope(modules=["fleet", "billing"]), ONE),
            (errors.UnknownRevision, Scope(targets={"fleet": "fleet_0099"}), ONE),
            (errors.InvalidInput, Scope(), Options(canary="nobody")),
        ]:
            with pytest.raises(refusal):
                await start_rollout(scope, options, Watched(), by=TESTER)
        assert await states(fleet) == [OLD]
        assert await Rollout.objects.acount() == before

    @pytest.mark.parametrize(
        "options",
        [
            {"batch": -1},
            {"concurrency": 0},
            {"concurrency": 65},
            {"canary": -1},
            {"max_failures": "0"},
            {"max_failures": "101%"},
            {"max_failures": "some"},
            {"lock_timeout_ms": 0},
            {"retries": -1},
        ],
    )
    def test_an_option_that_makes_no_sense_is_named(self, options):
        with pytest.raises(errors.InvalidInput) as refusal:
            Options(**options)
        assert [field for field, _ in refusal.value.errors] == list(options)


class TestLocks:
    async def test_a_lock_in_the_way_is_waited_out_and_the_others_go_on(self, make_fleet, load):
        fleet = await make_fleet(3)
        load(THINGS, NOTE)
        async with owner_connection() as holder:
            await holder.execute(
                text(f'LOCK TABLE "{fleet[0].ref.schema}".fleet_things IN ACCESS SHARE MODE')
            )
            options = Options(concurrency=2, lock_timeout_ms=50, retries=20)
            run = asyncio.create_task(carry(fleet, options))
            while await states(fleet[1:]) != [NEW, NEW]:
                await asyncio.sleep(0.01)
            # Whoever reads waits for no longer than the lock timeout behind the change.
            async with asyncio.timeout(2):
                for _ in range(3):
                    await execute(fleet[0], "SELECT * FROM fleet_things")
            assert await read_state(fleet[0]) == OLD
        rollout, watched = await run

        assert (rollout.status, await read_state(fleet[0])) == ("completed", NEW)
        assert watched.of(Postponed)[0].name == fleet[0].slug
        assert "lock timeout" in watched.of(Postponed)[0].error
        attempt = await RolloutAttempt.objects.aget(rollout=rollout, slug=fleet[0].slug)
        assert attempt.tries > 1

    async def test_a_lock_that_stays_fails_that_tenant_alone(self, make_fleet, load):
        fleet = await make_fleet(2)
        load(THINGS, NOTE)
        async with owner_connection() as holder:
            await holder.execute(
                text(f'LOCK TABLE "{fleet[0].ref.schema}".fleet_things IN ACCESS SHARE MODE')
            )
            rollout, watched = await carry(fleet, Options(lock_timeout_ms=20, retries=1))

        assert "lock timeout" in watched.errors[fleet[0].slug]
        assert (rollout.status, await states(fleet)) == ("failed", [OLD, NEW])

    async def test_a_schema_that_somebody_else_changes_is_tried_again(self, make_fleet, load):
        fleet = await make_fleet(1)
        load(THINGS, NOTE)
        async with owner_connection() as holder:
            low = fleet[0].ref.id.int & (2**64 - 1)
            signed = [n - 2**32 if n >= 2**31 else n for n in (low >> 32, low & (2**32 - 1))]
            await holder.execute(
                text("SELECT pg_advisory_xact_lock(:high, :low)"),
                {"high": signed[0], "low": signed[1]},
            )
            watched, scope = Watched(), Scope(slugs(fleet), ["fleet"])
            options = Options(lock_timeout_ms=50, retries=20)
            run = asyncio.create_task(start_rollout(scope, options, watched, by=TESTER))
            async with asyncio.timeout(20):
                while not watched.of(Postponed):
                    await asyncio.sleep(0.01)
            assert await states(fleet) == [OLD]
        rollout = await run
        assert (rollout.status, await states(fleet)) == ("completed", [NEW])
        assert "lock timeout" in watched.of(Postponed)[0].error

    async def test_a_schema_that_was_carried_since_the_plan_is_where_it_should_be(
        self, make_fleet, load
    ):
        fleet = await make_fleet(2)
        load(THINGS, SLOW_NOTE)
        watched, scope = Watched(), Scope(slugs(fleet), ["fleet"])
        run = asyncio.create_task(start_rollout(scope, Options(concurrency=1), watched, by=TESTER))
        while not watched.of(Staged):
            await asyncio.sleep(0.001)
        # What a runner that has died had sent, and the server does all the same.
        await execute(
            fleet[1],
            "WITH version AS (UPDATE alembic_version SET version_num = 'fleet_0002') "
            "UPDATE tenantry.tenant_stamps SET revision = 'fleet_0002' "
            f"WHERE tenant_id = '{fleet[1].ref.id}'",
        )
        rollout = await run

        assert (rollout.status, rollout.migrated, rollout.failed) == ("completed", 2, 0)
        (postponed,) = watched.of(Postponed)
        assert "should be at fleet_0001; tenant_stamps has fleet_0002" in postponed.error

    async def test_a_connection_that_is_cut_costs_a_try_and_no_tenant(self, make_fleet, load):
        fleet = await make_fleet(4)
        load(THINGS, SLOW_NOTE)
        run = asyncio.create_task(carry(fleet, Options(concurrency=2, retries=5)))
        cuts = 0
        async with owner_connection() as killer:
            cut = text(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE wait_event = 'PgSleep'"
            )
            while cuts < 3 and not run.done():
                cuts += (await killer.execute(cut)).scalar_one()
                await killer.rollback()
                await asyncio.sleep(0.01)
        rollout, watched = await run

        assert cuts >= 3
        assert watched.of(Postponed)
        assert (rollout.status, await states(fleet)) == ("completed", [NEW] * 4)


class TestStages:
    async def test_the_canary_goes_first_and_the_rest_waits_until_it_is_resumed(
        self, make_fleet, load
    ):
        fleet = await make_fleet(4)
        load(THINGS, NOTE)

        rollout, _ = await carry(fleet, Options(canary=2, pause=True))
        assert (rollout.status, await states(fleet)) == ("paused", [NEW, NEW, OLD, OLD])
        resumed = await resume_rollout(show_rollout_id(rollout.id), Watched(), by=TESTER)

        assert (resumed.status, resumed.planned, await states(fleet)) == (
            "completed",
            4,
            [NEW] * 4,
        )
        with pytest.raises(errors.WrongState, match="completed"):
            await resume_rollout(show_rollout_id(rollout.id), Watched(), by=TESTER)

    async def test_a_named_group_goes_first(self, make_fleet, load, settings):
        fleet = await make_fleet(3)
        settings.TENANTRY = settings.TENANTRY.model_copy(
            update={"canary_groups": {"staging": [fleet[2].slug, "nobody"]}}
        )
        load(THINGS, NOTE)

        rollout, _ = await carry(fleet, Options(canary="staging", pause=True))

        assert (rollout.status, await states(fleet)) == ("paused", [OLD, OLD, NEW])

    async def test_a_check_that_does_not_pass_stops_the_run(self, make_fleet, load):
        fleet = await make_fleet(5)
        load(THINGS, NOTE)
        options = Options(canary=1, batch=2, check_command="echo it hurts; exit 3")

        rollout, watched = await carry(fleet, options)

        assert (rollout.status, rollout.note) == ("failed", "The check after canary did not pass.")
        assert watched.of(Checked) == [Checked("canary", False, "it hurts")]
        assert await states(fleet) == [NEW, OLD, OLD, OLD, OLD]

    async def test_a_check_runs_after_the_canary_and_each_batch(self, make_fleet, load, tmp_path):
        fleet = await make_fleet(5)
        load(THINGS, NOTE)
        log = tmp_path / "log"
        options = Options(canary=1, batch=2, check_command=f"echo x >> {log}")

        rollout, watched = await carry(fleet, options)

        assert rollout.status == "completed"
        assert [event.stage for event in watched.of(Checked)] == ["canary", "batch 1", "batch 2"]
        assert log.read_text() == "x\n" * 3
        assert watched.of(Staged) == [
            Staged("canary", 1),
            Staged("batch 1", 2),
            Staged("batch 2", 2),
        ]


class TestTwoRunners:
    async def test_the_second_is_told_who_runs_and_changes_nothing(self, make_fleet, load):
        fleet = await make_fleet(4)
        load(THINGS, SLOW_NOTE)
        first = asyncio.create_task(carry(fleet))
        while await read_state(fleet[0]) == OLD:
            await asyncio.sleep(0.005)

        with pytest.raises(errors.RolloutRunning, match=r"is running, on .* in process") as refusal:
            await carry(fleet)

        rollout, _ = await first
        assert show_rollout_id(rollout.id) in refusal.value.detail
        assert (rollout.status, rollout.migrated) == ("completed", 4)

    async def test_the_second_waits_if_it_is_told_to(self, make_fleet, load):
        fleet = await make_fleet(4)
        load(THINGS, SLOW_NOTE)
        first = asyncio.create_task(carry(fleet))
        while await read_state(fleet[0]) == OLD:
            await asyncio.sleep(0.005)
        watched = Watched()

        second = await start_rollout(Scope(slugs(fleet), ["fleet"]), ONE, watched, 30.0, by=TESTER)

        assert (second.status, second.planned) == ("completed", 0)
        rollout, _ = await first
        (waited,) = watched.of(Waiting)
        assert waited.running.startswith(f"The rollout `{show_rollout_id(rollout.id)}` is running")

    async def test_a_run_is_cancelled_by_anybody(self, make_fleet, load, monkeypatch):
        monkeypatch.setattr(runner, "_KEEP_UP_SECONDS", 0.02)
        fleet = await make_fleet(8)
        load(THINGS, SLOW_NOTE)
        first = asyncio.create_task(carry(fleet))
        while await read_state(fleet[0]) == OLD:
            await asyncio.sleep(0.005)
        running = await Rollout.objects.aget(status=RolloutStatus.RUNNING)

        await cancel_rollout(show_rollout_id(running.id), by=TESTER)

        rollout, _ = await first
        assert rollout.status == "cancelled"
        done = await states(fleet)
        assert set(done) == {OLD, NEW}
        assert rollout.migrated == done.count(NEW)
        resumed = await resume_rollout(show_rollout_id(rollout.id), Watched(), by=TESTER)
        assert (resumed.status, await states(fleet)) == ("completed", [NEW] * 8)

    async def test_a_run_that_is_cut_off_is_resumed_and_nothing_is_half_migrated(
        self, make_fleet, load
    ):
        fleet = await make_fleet(6)
        load(THINGS, SLOW_NOTE)
        run = asyncio.create_task(carry(fleet))
        while await read_state(fleet[1]) == OLD:
            await asyncio.sleep(0.005)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert set(await states(fleet)) == {OLD, NEW}
        (rollout,) = [
            row async for row in Rollout.objects.filter(scope__tenants=slugs(fleet)).order_by("id")
        ]
        assert rollout.status == "interrupted"

        resumed = await resume_rollout(show_rollout_id(rollout.id), Watched(), by=TESTER)

        assert (resumed.status, await states(fleet)) == ("completed", [NEW] * 6)

    async def test_a_dead_runners_lease_ends(self, make_fleet, load, settings, monkeypatch):
        settings.TENANTRY = settings.TENANTRY.model_copy(update={"rollout_lease_seconds": 0.5})
        fleet = await make_fleet(2)
        load(THINGS, NOTE)
        stalled = await Rollout.objects.acreate(
            targets={"fleet": "fleet_0002"},
            scope={"tenants": slugs(fleet)},
            options=ONE.as_json(),
            started_by="a test",
            runner="host:1:x",
        )
        await Rollout.objects.filter(pk=stalled.pk).aupdate(lease_ends_at="2026-01-01T00:00Z")

        shown = show_rollout_id(stalled.id)
        assert (await get_rollout(shown)).status == "interrupted"
        resumed = await resume_rollout(shown, Watched(), by=TESTER)

        assert (resumed.status, await states(fleet)) == ("completed", [NEW, NEW])

    async def test_a_runner_that_has_lost_its_lease_stops(self, make_fleet, load, monkeypatch):
        monkeypatch.setattr(runner, "_KEEP_UP_SECONDS", 0.02)
        fleet = await make_fleet(8)
        load(THINGS, SLOW_NOTE)
        first = asyncio.create_task(carry(fleet))
        while await read_state(fleet[0]) == OLD:
            await asyncio.sleep(0.005)

        await Rollout.objects.filter(status=RolloutStatus.RUNNING).aupdate(
            status=RolloutStatus.INTERRUPTED, runner="another"
        )

        with pytest.raises(runner.LeaseLost):
            await first
        assert set(await states(fleet)) == {OLD, NEW}


class TestRehearsal:
    async def test_everything_is_tried_and_nothing_kept(self, make_fleet, load):
        fleet = await make_fleet(3)
        await have_the_column_already(fleet[1])
        load(THINGS, NOTE)
        before, rows = await states(fleet), await Rollout.objects.acount()
        watched = Watched()

        ended = await rehearse_rollout(Scope(slugs(fleet), ["fleet"]), ONE, watched)

        assert (ended.migrated, ended.failed, ended.note) == (2, 1, "Nothing was changed.")
        assert "already exists" in watched.errors[fleet[1].slug]
        assert await states(fleet) == before
        assert await Rollout.objects.acount() == rows

    async def test_a_way_of_all_kinds_is_rehearsed_to_its_end(self, make_fleet, load):
        fleet = await make_fleet(1)
        load(
            THINGS,
            NOTE,
            {"upgrade": "op.execute('UPDATE fleet_things SET note = 1')", "marks": "online = True"},
            {
                "upgrade": "op.execute('CREATE INDEX CONCURRENTLY IF NOT EXISTS fleet_idx "
                "ON tenant_schema.fleet_things (note)')",
                "marks": "transactional = False",
            },
            "op.execute('DROP INDEX fleet_idx')",
        )

        ended = await rehearse_rollout(Scope(slugs(fleet), ["fleet"]), ONE, Watched())

        assert (ended.migrated, ended.failed) == (1, 0)
        assert await states(fleet) == [OLD]

    async def test_it_says_where_it_stopped(self, make_fleet, load):
        fleet = await make_fleet(3)
        await have_the_column_already(fleet[0])
        load(THINGS, NOTE)
        options = Options(concurrency=1, max_failures="1")

        ended = await rehearse_rollout(Scope(slugs(fleet), ["fleet"]), options, Watched())

        assert (ended.migrated, ended.failed) == (0, 1)
        assert ended.note == "1 failed, which is the limit. Nothing was changed."


async def test_a_plan_tells_who_is_behind_by_how_far(make_fleet, load):
    fleet = await make_fleet(4)
    load(THINGS, NOTE)
    await carry(fleet[:1])
    await be_ahead_of_this_release(fleet[3])

    plan = await plan_rollout(Scope(slugs(fleet), ["fleet"]))

    assert [work.vessel.ref.slug for work in plan.work] == slugs(fleet[1:3])
    assert plan.ways == {("fleet", "fleet_0001", "fleet_0002"): 2}
    assert [stray.vessel.ref.slug for stray in plan.strays] == [fleet[3].slug]
    assert plan.current == 1
    assert await states(fleet[1:3]) == [OLD, OLD]
