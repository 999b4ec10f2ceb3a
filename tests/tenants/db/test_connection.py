"""Entering a tenant: always, only that one, and nothing is left behind."""

import asyncio
import contextlib
import random

import asyncpg
import pytest
from sqlalchemy import exc, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import errors, lifecycle
from tenants.apps import get_settings
from tenants.db.connection import TenantConnection
from tenants.db.engine import get_pool
from tenants.db.statement import CompiledStatement
from tenants.db.unit_of_work import read_session, write_session
from tenants.revisions import get_head
from tenants.testing import TESTER
from tests.sample.module import Note, module
from tests.tenants.relay import open_relay

DENIED = asyncpg.InsufficientPrivilegeError.sqlstate
WHOSE = CompiledStatement(select(Note.body, func.current_user().label("who")))
WHO = text("SELECT current_user, current_setting('search_path'), pg_backend_pid()")


@contextlib.asynccontextmanager
async def connect(**options):
    """SQLAlchemy's face of a connection of the pool."""
    pool = get_pool()
    async with pool.lend() as pooled:
        connection = AsyncConnection(pool.engine, pooled.borrow(pool.engine, **options))
        try:
            yield connection
        finally:
            await connection.close()


async def look(tenant=None, **options):
    """Who a transaction is, its search path, and its backend."""
    async with connect(**({"tenant": tenant.ref} if tenant else {}), **options) as connection:
        return tuple((await connection.execute(WHO)).one())


async def sqlstate_of(connection, statement):
    """The SQLSTATE with which the server refuses a statement, or None if it doesn't."""
    try:
        await connection.execute(statement)
    except asyncpg.PostgresError as error:
        return error.sqlstate
    return None


async def tables_of(connection, tenant):
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'",
        tenant.ref.schema,
    )
    return [row["relname"] for row in rows]


# Without a tenant


@pytest.mark.parametrize("relation", ["{schema}.sample_notes", "public.tenants_apikey"])
async def test_code_that_forgot_to_enter_a_tenant_is_denied(fleet, relation):
    relation = relation.format(schema=fleet[0].ref.schema)
    async with connect() as connection:
        with pytest.raises(exc.DBAPIError, match="permission denied") as error:
            await connection.execute(text(f"SELECT * FROM {relation}"))
    assert error.value.orig.sqlstate == DENIED


async def test_a_connection_that_served_a_tenant_is_denied_without_one(fleet, configure):
    await configure(pool_size=1)
    _, _, backend = await look(fleet[0])
    async with connect() as connection:
        assert (await connection.execute(WHO)).one()[2] == backend
        with pytest.raises(exc.DBAPIError, match="permission denied"):
            await connection.execute(text(f"SELECT * FROM {fleet[0].ref.schema}.sample_notes"))


# Inside a tenant


async def test_a_transaction_is_the_tenants_role_with_its_schema_as_the_whole_search_path(fleet):
    schema = fleet[0].ref.schema
    assert (await look(fleet[0]))[:2] == (schema, schema)


async def test_a_second_transaction_of_a_connection_is_still_scoped(fleet):
    schema = fleet[0].ref.schema
    engine = get_pool().engine.execution_options(tenant=fleet[0].ref)
    async with engine.connect() as connection:
        for end in (connection.commit, connection.rollback, connection.commit):
            assert (await connection.execute(WHO)).one()[:2] == (schema, schema)
            await end()


async def test_a_rolled_back_savepoint_restores_the_tenants_scope(fleet):
    schema = fleet[0].ref.schema
    async with write_session(fleet[0].ref) as session:
        savepoint = await session.begin_nested()
        await session.execute(text("SET LOCAL search_path TO public"))
        await session.execute(text("SET LOCAL ROLE NONE"))
        assert (await session.execute(WHO)).one()[0] != schema
        await savepoint.rollback()
        assert (await session.execute(WHO)).one()[:2] == (schema, schema)
        assert (await session.scalars(select(Note.body))).all() == [fleet[0].slug]


async def test_a_savepoint_of_the_driver_stays_in_the_transactions_scope(fleet):
    schema = fleet[0].ref.schema
    async with write_session(fleet[0].ref) as session:
        connection = await session.connection()
        await connection.execute(WHO)
        driver = (await connection.get_raw_connection()).driver_connection
        savepoint = driver.transaction()
        await savepoint.start()
        assert await driver.fetchval("SELECT current_user") == schema
        await savepoint.rollback()
        assert await driver.fetchval("SELECT current_user") == schema


async def test_a_rows_stream_is_scoped(fleet):
    async with read_session(fleet[3].ref) as session:
        notes = await session.stream_scalars(select(Note.body))
        assert [body async for body in notes] == [fleet[3].slug]


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
@pytest.mark.parametrize("deferrable", [True, False])
async def test_isolation_read_only_and_deferrable_are_what_was_asked_for(fleet, level, deferrable):
    engine = get_pool().engine.execution_options(
        tenant=fleet[0].ref,
        isolation_level=level,
        postgresql_readonly=deferrable,
        postgresql_deferrable=deferrable,
    )
    word = "on" if deferrable else "off"
    async with engine.connect() as connection:
        row = await connection.execute(
            text(
                "SELECT current_setting('transaction_isolation'), "
                "current_setting('transaction_read_only'), "
                "current_setting('transaction_deferrable'), current_user"
            )
        )
        assert tuple(row.one()) == (level.lower(), word, word, fleet[0].ref.schema)


async def test_a_mode_of_one_transaction_is_not_the_next_ones(fleet, configure):
    await configure(pool_size=1)
    async with read_session(fleet[0].ref) as session:
        assert await session.scalar(text("SHOW transaction_read_only")) == "on"
    async with write_session(fleet[1].ref) as session:
        assert await session.scalar(text("SHOW transaction_read_only")) == "off"


async def test_autocommit_is_refused_and_the_connection_goes_on_working(fleet, configure):
    await configure(pool_size=1)
    with pytest.raises(exc.InvalidRequestError, match="AUTOCOMMIT"):
        await look(fleet[0], isolation_level="AUTOCOMMIT")
    assert (await look(fleet[0]))[0] == fleet[0].ref.schema


async def test_an_unqualified_name_never_falls_through_to_public(fleet):
    for statement in ("SELECT * FROM tenants_apikey", "SELECT * FROM django_migrations"):
        with pytest.raises(errors.DatabaseDefect, match="does not exist"):
            async with read_session(fleet[0].ref) as session:
                await session.execute(text(statement))
    with pytest.raises(errors.DatabaseDefect, match="permission denied"):
        async with read_session(fleet[0].ref) as session:
            await session.execute(text("SELECT * FROM public.tenants_apikey"))


# Back in the pool


async def test_a_connection_comes_back_to_the_pool_clean(fleet, configure):
    await configure(pool_size=1)
    fresh = await look()
    assert (await look(fleet[0]))[0] == fleet[0].ref.schema
    async with write_session(fleet[1].ref) as session:
        await session.execute(WHO)
    with pytest.raises(ZeroDivisionError):
        async with write_session(fleet[2].ref) as session:
            raise ZeroDivisionError(await session.execute(WHO))
    assert await look() == fresh


async def test_a_connection_that_was_left_in_a_transaction_is_not_handed_out(fleet, configure):
    await configure(pool_size=1)
    async with connect() as connection:
        backend = (await connection.execute(WHO)).one()[2]
        await connection.rollback()
        driver = (await connection.get_raw_connection()).driver_connection
        await driver.execute(f'BEGIN; SET LOCAL ROLE "{fleet[0].ref.schema}"')
    async with read_session(fleet[1].ref) as session:
        rows = await session.fetch(WHOSE)
        assert [tuple(row) for row in rows] == [(fleet[1].slug, fleet[1].ref.schema)]
        assert await session.scalar(text("SELECT pg_backend_pid()")) != backend


async def test_a_deleted_tenants_role_does_not_poison_the_connection(make_tenant, fleet, configure):
    gone = await make_tenant()
    await lifecycle.delete_tenant(gone.slug, by=TESTER)
    await lifecycle.erase_tenant(gone.slug, gone.slug, by=TESTER)
    await configure(pool_size=1)
    _, _, backend = await look(fleet[0])
    for _ in range(2):
        with pytest.raises(errors.TenantUnavailable):
            async with read_session(gone.ref) as session:
                await session.execute(select(Note))
        async with read_session(fleet[0].ref) as session:
            assert (await session.scalars(select(Note.body))).all() == [fleet[0].slug]
        assert (await look(fleet[0]))[2] == backend


async def test_a_backend_with_an_old_list_of_memberships_looks_again(fleet, configure, monkeypatch):
    """What PostgreSQL does when it hears of a grant while it works out the list is played here."""
    await configure(pool_size=1)
    sent, real = [], TenantConnection.execute

    async def execute(self, message, *arguments, **options):
        sent.append(message)
        if sent == [message]:
            await real(self, "BEGIN")
            raise asyncpg.InsufficientPrivilegeError("permission denied to set role")
        return await real(self, message, *arguments, **options)

    monkeypatch.setattr(TenantConnection, "execute", execute)
    schema = fleet[0].ref.schema

    assert (await look(fleet[0]))[:2] == (schema, schema)

    begin = sent[0]
    assert [begin, "ROLLBACK", begin] == [each for each in sent[:4] if "pg_has_role" not in each]


async def test_a_role_that_was_not_granted_is_refused(fleet, configure, owner):
    await configure(pool_size=1)
    schema = fleet[1].ref.schema
    runtime = await owner.fetchval(
        "SELECT m.member::regrole::text FROM pg_auth_members m WHERE m.roleid = $1::regrole "
        "AND m.member <> (SELECT oid FROM pg_roles WHERE rolname = current_user)",
        schema,
    )
    await owner.execute(f"REVOKE {schema} FROM {runtime}")
    try:
        with pytest.raises(exc.DBAPIError, match="permission denied to set role"):
            await look(fleet[1])
        assert (await look(fleet[0]))[0] == fleet[0].ref.schema
    finally:
        await owner.execute(f"GRANT {schema} TO {runtime} WITH INHERIT FALSE, SET TRUE")
    assert (await look(fleet[1]))[0] == schema


@pytest.mark.slow
async def test_tenants_onboarded_at_once_are_entered_at_once(make_tenant):
    async def use():
        tenant = await make_tenant()
        for _ in range(3):
            async with read_session(tenant.ref) as session:
                assert (await session.execute(WHO)).one()[0] == tenant.ref.schema

    for _ in range(10):
        await asyncio.gather(*(use() for _ in range(20)))


async def test_a_connection_whose_begin_was_cancelled_is_closed(fleet):
    """Whether the server has begun is not known, so nobody may come after."""
    async with open_relay(get_settings().runtime_url.get_secret_value()) as relay:
        connection = await asyncpg.connect(relay.url, connection_class=TenantConnection)
        connection.tenant = fleet[0].ref
        relay.freeze()
        start = asyncio.create_task(connection.transaction().start())
        await asyncio.sleep(0.02)
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert connection.is_closed()


async def test_a_cancelled_query_leaves_nothing_and_the_next_tenant_sees_its_own(
    make_tenant, fleet, configure, runtime, owner
):
    victim = await make_tenant()
    await configure(pool_size=1)
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"

    async def write_and_sleep():
        async with write_session(victim.ref) as session:
            await session.execute(
                text("INSERT INTO sample_notes VALUES (gen_random_uuid(), 'lost', now())")
            )
            await session.execute(text("SELECT pg_sleep(5.25)"))

    task = asyncio.create_task(write_and_sleep())
    async with asyncio.timeout(2):
        while not await runtime.fetchval(sleeping):
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with read_session(fleet[0].ref) as session:
        assert (await session.scalars(select(Note.body))).all() == [fleet[0].slug]
    async with read_session(victim.ref) as session:
        assert (await session.scalars(select(Note.body))).all() == []
    assert await runtime.fetchval(sleeping) == 0
    # Nor does it hold a lock.
    await owner.execute(f"SET lock_timeout = '500ms'; LOCK TABLE {victim.ref.schema}.sample_notes;")


async def test_twenty_tenants_in_hundreds_of_tasks_on_a_small_pool_never_see_a_foreign_row(
    fleet, configure, runtime
):
    await configure(pool_size=4, pool_timeout_seconds=20)
    dice = random.Random(7)
    seen, wrong = [], []

    async def check(session, tenant):
        rows = (await session.execute(select(Note.body, text("current_user")))).all()
        seen.append(tenant.slug)
        if rows != [(tenant.slug, tenant.ref.schema)]:
            wrong.append((tenant.slug, rows))

    async def read(tenant):
        async with read_session(tenant.ref) as session:
            await check(session, tenant)

    async def read_in_two_transactions(tenant):
        async with write_session(tenant.ref) as session:
            await check(session, tenant)
            await session.commit()
            await check(session, tenant)

    async def write_and_fail(tenant):
        with contextlib.suppress(errors.DatabaseDefect):
            async with write_session(tenant.ref) as session:
                await session.execute(text("UPDATE sample_notes SET body = 'changed'"))
                await session.execute(text("SELECT * FROM no_such_table"))

    async def sleep(tenant):
        async with read_session(tenant.ref) as session:
            await check(session, tenant)
            await session.execute(text("SELECT pg_sleep(0.02)"))
            await check(session, tenant)

    async def run(kind, tenant, cancel_after):
        task = asyncio.create_task(kind(tenant))
        if cancel_after is not None:
            await asyncio.sleep(cancel_after)
            task.cancel()
            await asyncio.sleep(dice.random() / 500)
            task.cancel()  # Once more, while it is giving its connection back.
        try:
            await task
        except asyncio.CancelledError:
            return True
        return False

    async def read_on_the_driver(tenant):
        async with read_session(tenant.ref) as session:
            rows = [tuple(row) for row in await session.fetch(WHOSE)]
            seen.append(tenant.slug)
            if rows != [(tenant.slug, tenant.ref.schema)]:
                wrong.append((tenant.slug, rows))

    async def read_both_ways(tenant):
        async with read_session(tenant.ref) as session:
            await session.fetch(WHOSE)
            await check(session, tenant)

    kinds = [
        read,
        read_on_the_driver,
        read_both_ways,
        read_in_two_transactions,
        write_and_fail,
        sleep,
    ]
    cancelled = await asyncio.gather(
        *(
            run(
                dice.choice(kinds),
                dice.choice(fleet),
                dice.random() / 4 if dice.random() < 0.3 else None,
            )
            for _ in range(400)
        )
    )

    assert wrong == []
    assert len(seen) > 250
    assert sum(cancelled) > 20
    assert get_pool().state.in_use == 0
    assert {(await look(tenant))[0] for tenant in fleet} == {t.ref.schema for t in fleet}
    left_open = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert await runtime.fetchval(left_open) == 0


# What a role may do


async def test_a_tenants_role_is_denied_every_table_of_every_other_tenant(fleet, runtime, owner):
    tables = {tenant.slug: await tables_of(owner, tenant) for tenant in fleet}
    assert {frozenset(names) for names in tables.values()} == {
        frozenset(
            {"alembic_version", "conversations", "messages", "tool_calls", "sample_notes"}
            | set(tables[fleet[0].slug])
        )
    }
    allowed = []
    for attacker in fleet:
        await runtime.execute(f'SET ROLE "{attacker.ref.schema}"')
        assert await runtime.fetchval(f"SELECT body FROM {attacker.ref.schema}.sample_notes")
        for victim in fleet:
            if victim is attacker:
                continue
            for table in tables[victim.slug]:
                statement = f"TABLE {victim.ref.schema}.{table} LIMIT 1"
                if await sqlstate_of(runtime, statement) != DENIED:
                    allowed.append((attacker.slug, statement))
    assert allowed == []


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO {theirs}.sample_notes VALUES (gen_random_uuid(), 'x', now())",
        "UPDATE {theirs}.sample_notes SET body = 'x'",
        "DELETE FROM {theirs}.sample_notes",
        "TRUNCATE {theirs}.sample_notes",
        "BEGIN; LOCK TABLE {theirs}.sample_notes",
        "DROP TABLE {theirs}.sample_notes",
        "ALTER TABLE {theirs}.sample_notes ADD COLUMN x text",
        "CREATE TABLE {theirs}.x (y int)",
        "GRANT {theirs} TO {mine}",
        "CREATE TABLE {mine}.x (y int)",
        "CREATE TABLE x (y int)",
        "CREATE TEMP TABLE x (y int)",
        "CREATE VIEW {mine}.x AS SELECT 1",
        "CREATE FUNCTION {mine}.x() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA x",
        "CREATE ROLE x",
        "CREATE TABLE public.x (y int)",
        "TABLE public.tenants_apikey",
        "TABLE tenantry.tenant_stamps",
        "TABLE {mine}.alembic_version",
        "UPDATE {mine}.alembic_version SET version_num = 'x'",
        "DELETE FROM {mine}.alembic_version",
        "TRUNCATE {mine}.sample_notes",
        "ALTER TABLE {mine}.sample_notes ADD COLUMN x text",
        "DROP TABLE {mine}.sample_notes",
        "DROP SCHEMA {mine} CASCADE",
        "COPY {mine}.sample_notes TO PROGRAM 'cat'",
        "SELECT pg_read_file('PG_VERSION')",
    ],
)
async def test_a_tenants_role_is_denied_what_is_no_reading_and_writing_of_its_own_rows(
    fleet, runtime, statement
):
    mine, theirs = (tenant.ref.schema for tenant in fleet[:2])
    await runtime.execute(f'SET ROLE "{mine}"; SET search_path TO "{mine}"')
    assert await sqlstate_of(runtime, statement.format(mine=mine, theirs=theirs)) == DENIED


async def test_a_tenants_role_may_read_and_write_its_own_rows(make_tenant, runtime):
    mine = (await make_tenant()).ref.schema
    await runtime.execute(f'SET ROLE "{mine}"; SET search_path TO "{mine}"')
    for statement in (
        "INSERT INTO sample_notes VALUES (gen_random_uuid(), 'x', now())",
        "UPDATE sample_notes SET body = 'y'",
        "SELECT * FROM sample_notes",
        "DELETE FROM sample_notes",
    ):
        assert await sqlstate_of(runtime, statement) is None


async def test_the_runtime_login_by_itself_may_do_nothing(fleet, runtime):
    schema = fleet[0].ref.schema
    for statement in (
        f"TABLE {schema}.sample_notes",
        f"TABLE {schema}.alembic_version",
        "TABLE public.tenants_tenant",
        "TABLE tenantry.tenant_stamps",
        "CREATE TABLE public.x (y int)",
        "CREATE TEMP TABLE x (y int)",
        "CREATE SCHEMA x",
        "CREATE ROLE x",
        f"GRANT {schema} TO tenantry_registry",
    ):
        assert await sqlstate_of(runtime, statement) == DENIED, statement


async def test_a_table_that_a_later_revision_brings_is_the_tenants_to_use(make_tenant, owner):
    schema = (tenant := await make_tenant()).ref.schema
    assert get_head(module) is not None
    await owner.execute(f"CREATE TABLE {schema}.later (x int)")
    async with write_session(tenant.ref) as session:
        await session.execute(text("INSERT INTO later VALUES (1)"))
