"""Revisions: rendered once, replayed in a tenant as one message, in one transaction."""

import asyncio
import textwrap

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tenants import lifecycle, revisions
from tenants.errors import BrokenRevision, StampMismatch, TenantUnavailable, UnknownRevision
from tenants.ids import new_id
from tenants.lifecycle import owner_connection
from tenants.modules import get_module, get_modules
from tenants.revisions import (
    find_module_of_revision,
    get_head,
    lock_key,
    migrate_schema,
    plan_segments,
    read_stamps,
)
from tenants.tenant import TenantRef
from tenants.testing import TESTER
from tests.tenants.alembic_cli import run_alembic
from tests.tenants.structure import read_structure
from tests.tenants.throwaway import make_module, write_revision

HEAD = get_head(get_module("conversations"))
NOTES = (
    "op.execute('CREATE TABLE {name}_things (id uuid CONSTRAINT {name}_things_pkey PRIMARY KEY)')"
)


async def migrate(tenant, *modules):
    async with owner_connection() as connection:
        changed = await migrate_schema(connection, tenant.ref, modules)
        await connection.commit()
    return changed


async def find(statement, tenant):
    """The rows' first column, with the search path at the tenant's schema."""
    async with owner_connection() as connection:
        await connection.execute(text(f'SET LOCAL search_path TO "{tenant.ref.schema}"'))
        return list((await connection.execute(text(statement))).scalars())


async def list_versions(tenant):
    return set(await find("SELECT version_num FROM alembic_version", tenant))


async def list_stamps(tenant):
    return {
        tuple(row)
        for row in await find(
            "SELECT ARRAY[module, revision] FROM tenantry.tenant_stamps "
            f"WHERE tenant_id = '{tenant.ref.id}'",
            tenant,
        )
    }


class TestRender:
    def test_it_names_no_schema_opens_no_transaction_and_writes_no_stamp(self):
        for module in get_modules():
            segments = plan_segments(module, None, get_head(module))
            script = "\n".join(segment.sql for segment in segments)
            assert "CREATE TABLE" in script
            for word in ("BEGIN", "COMMIT", "alembic_version", "public.", "tenantry."):
                assert word not in script

    def test_nothing_is_rendered_where_there_is_nothing_to_do(self):
        module = get_module("sample")
        assert plan_segments(module, get_head(module), get_head(module)) == ()

    def test_a_part_of_the_line_is_rendered_alone(self, tmp_path):
        module = make_module(tmp_path, "part", *(f"op.execute('SELECT {n}')" for n in (1, 2, 3)))
        script = plan_segments(module, "part_0001", "part_0002")[0].sql
        assert "SELECT 2" in script
        assert "SELECT 1" not in script
        assert "SELECT 3" not in script

    def test_revisions_are_rendered_once_per_process(self, tmp_path):
        module = make_module(tmp_path, "once", "op.execute('SELECT 1')")
        assert plan_segments(module, None, "once_0001") is plan_segments(module, None, "once_0001")

    def test_an_unknown_revision_is_an_error(self):
        with pytest.raises(UnknownRevision, match="gone_0007"):
            plan_segments(get_module("sample"), "gone_0007", "sample_0001")

    def test_a_revision_belongs_to_its_module(self):
        assert find_module_of_revision("sample_0001").name == "sample"
        assert find_module_of_revision("gone_0007") is None


class TestReplay:
    async def test_it_makes_the_same_schema_as_alembic_online(self, make_tenant):
        replayed = await make_tenant(modules=["conversations"])
        online = await make_tenant(modules=[])
        assert await read_structure(online) != await read_structure(replayed)

        result = await run_alembic(online, "upgrade", "conversations@head")

        assert result.returncode == 0, result.stderr
        structure = await read_structure(replayed)
        assert len(structure) > 60
        assert await read_structure(online) == structure
        assert await list_versions(online) == await list_versions(replayed)
        assert await list_stamps(online) == await list_stamps(replayed)

    async def test_percent_signs_colons_quotes_and_backslashes_arrive_as_they_were_written(
        self, make_tenant, tmp_path
    ):
        upgrade = textwrap.dedent(
            r"""
            op.create_table(
                "odd_things",
                sa.Column("id", sa.Uuid(), nullable=False),
                sa.Column("share", sa.Text(), server_default="100% 'sure' \\ a:b", nullable=False),
                sa.CheckConstraint("share LIKE '%:%'", name="odd_things_share_check"),
                sa.PrimaryKeyConstraint("id", name="odd_things_pkey"),
            )
            op.execute("COMMENT ON TABLE odd_things IS '5% \\:x'")
            op.bulk_insert(
                sa.table("odd_things", sa.column("id", sa.Uuid()), sa.column("share", sa.Text())),
                [{"id": "00000000-0000-0000-0000-000000000001", "share": "1%:2"}],
            )
            """
        ).strip()
        tenant = await make_tenant(modules=[])

        await migrate(tenant, make_module(tmp_path, "odd", upgrade))

        default = "SELECT column_default FROM information_schema.columns WHERE table_name = "
        found = await find(
            default + "'odd_things' AND column_name = 'share' AND table_schema = current_schema()",
            tenant,
        )
        assert found == ["'100% ''sure'' \\ a:b'::text"]
        assert await find("SELECT share FROM odd_things", tenant) == ["1%:2"]
        assert await find("SELECT obj_description('odd_things'::regclass)", tenant) == ["5% :x"]
        check = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = "
        assert await find(
            check + "'odd_things_share_check' AND connamespace = current_schema()::regnamespace",
            tenant,
        ) == ["CHECK ((share ~~ '%:%'::text))"]

    async def test_it_returns_what_changed_and_writes_both_stamps(self, make_tenant, tmp_path):
        tenant = await make_tenant(modules=[])
        module = make_module(tmp_path, "made", NOTES.format(name="made"), "pass")

        assert await migrate(tenant, module) == {"made": "made_0002"}
        assert await list_versions(tenant) == {"made_0002"}
        assert await list_stamps(tenant) == {("made", "made_0002")}
        assert await migrate(tenant, module) == {}

    async def test_a_second_module_later_leaves_the_first_as_it_is(self, make_tenant, tmp_path):
        tenant = await make_tenant(modules=["conversations"])
        module = make_module(tmp_path, "later", NOTES.format(name="later"))

        await migrate(tenant, get_module("conversations"), module)

        assert await list_versions(tenant) == {HEAD, "later_0001"}
        assert ("later", "later_0001") in await list_stamps(tenant)

    async def test_a_schema_in_the_middle_of_the_line_goes_on_from_there(
        self, make_tenant, tmp_path
    ):
        tenant = await make_tenant(modules=[])
        await migrate(tenant, make_module(tmp_path / "old", "line", NOTES.format(name="line")))
        newer = make_module(
            tmp_path / "new",
            "line",
            NOTES.format(name="line"),
            "op.add_column('line_things', sa.Column('note', sa.Text()))",
        )

        assert await migrate(tenant, newer) == {"line": "line_0002"}

        assert await list_versions(tenant) == {"line_0002"}
        assert await find("SELECT note FROM line_things", tenant) == []

    async def test_tables_of_later_revisions_are_covered_by_the_tenants_rights(
        self, make_tenant, tmp_path
    ):
        tenant = await make_tenant(modules=[])
        await migrate(tenant, make_module(tmp_path, "right", NOTES.format(name="right")))
        schema = tenant.ref.schema
        rights = "SELECT has_table_privilege('{0}', '{0}.right_things', 'INSERT, DELETE')"
        assert await find(rights.format(schema), tenant) == [True]

    @pytest.mark.parametrize("failing", [0, 1])
    async def test_a_failing_revision_leaves_schema_and_stamps_as_they_were(
        self, make_tenant, tmp_path, failing
    ):
        tenant = await make_tenant(modules=["conversations"])
        before = await read_structure(tenant), await list_stamps(tenant)
        steps = [NOTES.format(name="bad"), "op.execute('CREATE TABLE bad_more (id int)')"]
        steps.insert(failing + 1, "op.execute('SELECT 1 / 0')")

        async with owner_connection() as connection:
            with pytest.raises(Exception, match="division by zero"):
                await migrate_schema(connection, tenant.ref, [make_module(tmp_path, "bad", *steps)])
            await connection.rollback()

        assert (await read_structure(tenant), await list_stamps(tenant)) == before
        assert await list_versions(tenant) == {HEAD}

    async def test_what_is_not_committed_never_was(self, make_tenant, tmp_path):
        tenant = await make_tenant(modules=[])
        async with owner_connection() as connection:
            await migrate_schema(
                connection, tenant.ref, [make_module(tmp_path, "gone", NOTES.format(name="gone"))]
            )
        assert await list_versions(tenant) == set()
        assert await list_stamps(tenant) == set()

    async def test_two_runners_do_not_replay_the_same_revision(self, make_tenant, tmp_path):
        tenant = await make_tenant(modules=[])
        module = make_module(
            tmp_path, "twice", "op.execute('SELECT pg_sleep(0.2)')", NOTES.format(name="twice")
        )

        changes = await asyncio.gather(*(migrate(tenant, module) for _ in range(3)))

        assert sorted(changes, key=len) == [{}, {}, {"twice": "twice_0002"}]

    async def test_a_revision_that_does_not_say_that_it_needs_python_fails_with_its_reason(
        self, make_tenant, tmp_path
    ):
        tenant = await make_tenant(modules=[])
        module = make_module(tmp_path, "py", "raise LookupError('needs rows')")
        async with owner_connection() as connection:
            with pytest.raises(BrokenRevision, match=r"py_0001.*needs rows"):
                await migrate_schema(connection, tenant.ref, [module])
        assert await list_versions(tenant) == set()


class TestStamps:
    @pytest.mark.parametrize(
        "lie",
        [
            "UPDATE alembic_version SET version_num = 'conversations_9999'",
            "DELETE FROM alembic_version",
            "INSERT INTO alembic_version VALUES ('sample_0001')",
        ],
    )
    async def test_a_version_table_that_lies_is_noticed_before_anything_is_done(
        self, make_tenant, lie
    ):
        tenant = await make_tenant(modules=["conversations"])
        async with owner_connection() as connection:
            await connection.execute(text(f'SET LOCAL search_path TO "{tenant.ref.schema}"'))
            await connection.execute(text(lie))
            await connection.commit()
        before = await read_structure(tenant)

        with pytest.raises(StampMismatch, match=tenant.ref.schema) as refusal:
            await lifecycle.enable_module(tenant.slug, "sample", by=TESTER)

        assert refusal.value.status == 409
        assert await read_structure(tenant) == before

    async def test_stamps_that_lie_are_noticed_too(self, make_tenant):
        tenant = await make_tenant(modules=["conversations"])
        async with owner_connection() as connection:
            await connection.execute(
                text("DELETE FROM tenantry.tenant_stamps WHERE tenant_id = :id"),
                {"id": tenant.ref.id},
            )
            with pytest.raises(StampMismatch):
                await read_stamps(connection, tenant.ref)

    async def test_a_schema_that_is_not_there_is_unavailable(self, application):
        nobody = TenantRef(new_id(), "nobody")
        async with owner_connection() as connection:
            with pytest.raises(TenantUnavailable, match=nobody.schema):
                await migrate_schema(connection, nobody, get_modules())

    async def test_the_version_table_is_never_looked_for_in_another_schema(self, make_tenant):
        tenant = await make_tenant()
        async with owner_connection() as connection:
            await read_stamps(connection, tenant.ref)
            shown = (await connection.execute(text("SHOW search_path"))).scalar_one()
        assert shown == f'"{tenant.ref.schema}"' or shown == tenant.ref.schema

    def test_lock_keys_are_two_signed_halves_of_the_random_end_of_the_id(self):
        keys = [lock_key(new_id()) for _ in range(200)]
        assert len({tuple(key.values()) for key in keys}) == 200
        assert all(-(2**31) <= value < 2**31 for key in keys for value in key.values())


class TestDowngradeAndOdds:
    async def test_a_stamp_of_a_later_release_is_refused(self, make_tenant, tmp_path):
        tenant = await make_tenant(modules=[])
        newer = make_module(tmp_path / "new", "ahead", "pass", "pass")
        await migrate(tenant, newer)
        older = make_module(tmp_path / "old", "ahead", "pass")

        async with owner_connection() as connection:
            with pytest.raises(StampMismatch, match="ahead_0002"):
                await migrate_schema(connection, tenant.ref, [older])
        assert await list_versions(tenant) == {"ahead_0002"}

    async def test_a_module_without_revisions_needs_no_stamp(self, make_tenant, tmp_path):
        tenant = await make_tenant(modules=[])
        assert await migrate(tenant, make_module(tmp_path, "empty")) == {}

    async def test_the_stamps_table_is_made_once_by_whoever_comes_first(self, application):
        async def ensure():
            async with owner_connection() as connection:
                await revisions.ensure_fleet_tables(connection)

        await asyncio.gather(*(ensure() for _ in range(5)))

    async def test_a_statement_timeout_cuts_a_replay_whole(self, make_tenant, tmp_path):
        tenant = await make_tenant(modules=[])
        module = make_module(
            tmp_path,
            "slow",
            NOTES.format(name="slow"),
            "op.execute(\"SET LOCAL statement_timeout = '20ms'\")",
            "op.execute('SELECT pg_sleep(5)')",
        )
        async with owner_connection() as connection:
            with pytest.raises((DBAPIError, Exception), match="statement timeout"):
                await migrate_schema(connection, tenant.ref, [module])
        assert await list_versions(tenant) == set()

    async def test_a_lock_holder_makes_the_replay_fail_soon_and_whole(self, make_tenant, tmp_path):
        tenant = await make_tenant(modules=["conversations"])
        folder = tmp_path / "lock"
        write_revision(
            folder,
            "lock_0001",
            "op.execute(\"SET LOCAL lock_timeout = '50ms'\")\n"
            "op.add_column('messages', sa.Column('odd', sa.Text()))",
            label="lock",
        )
        module = make_module(tmp_path, "lock")
        async with owner_connection() as holder, owner_connection() as connection:
            await holder.execute(text(f'LOCK TABLE "{tenant.ref.schema}".messages IN SHARE MODE'))
            with pytest.raises(Exception, match="lock timeout"):
                await migrate_schema(connection, tenant.ref, [module])
            await connection.rollback()
            await holder.rollback()
            # The lock_timeout was the failed transaction's only.
            assert await migrate_schema(connection, tenant.ref, [module]) == {"lock": "lock_0001"}
