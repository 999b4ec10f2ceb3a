"""Units of work: what is committed, what is not, and what the database's faults become."""

import asyncio
import contextlib
import time

import asyncpg
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import exc, func, select, text

from tenants import errors
from tenants.apps import get_settings
from tenants.db.connection import TenantConnection
from tenants.db.statement import CompiledStatement
from tenants.db.unit_of_work import get_pool_state, read_session, write_session
from tests.sample.module import Note
from tests.tenants.db import faulty
from tests.tenants.db.faulty import add_note, raise_sqlstate
from tests.tenants.relay import open_relay
from tests.tenants.test_logins import superuser_url

BACKEND = text("SELECT pg_backend_pid()")
FAULTY = "/api/v1/faulty"


async def bodies(tenant):
    async with read_session(tenant.ref) as session:
        return sorted(await session.scalars(select(Note.body)))


WHOSE = select(Note.body, func.current_user())
WHOSE_COMPILED = CompiledStatement(select(Note.body, func.current_user().label("who")))


async def use_sqlalchemy(session):
    """Whose notes a session sees, and as whom."""
    return [tuple(row) for row in await session.execute(WHOSE)]


async def use_the_driver(session):
    return [tuple(row) for row in await session.fetch(WHOSE_COMPILED)]


async def kill(runtime, *pids):
    """End backends, and wait until they are gone."""
    for pid in pids:
        assert await runtime.fetchval("SELECT pg_terminate_backend($1)", pid)
    left = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY($1)"
    async with asyncio.timeout(2):
        while await runtime.fetchval(left, pids):
            await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def locked(owner, tenant, table):
    """Hold a lock that every reader and writer of a table waits for."""
    transaction = owner.transaction()
    await transaction.start()
    await owner.execute(f"LOCK TABLE {tenant.ref.schema}.{table} IN ACCESS EXCLUSIVE MODE")
    try:
        yield
    finally:
        await transaction.rollback()


async def waiting_backend(runtime):
    """The backend of ours that waits for a lock, once there is one."""
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = user"
    async with asyncio.timeout(2):
        while not (pid := await runtime.fetchval(query)):
            await asyncio.sleep(0.01)
    return pid


@pytest.fixture
async def faulty_api(application, tenant, settings):
    """A client of the faulty routes, with the key of `tenant`."""
    settings.ROOT_URLCONF = faulty.__name__
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(application),
        base_url=f"http://localhost{FAULTY}",
        headers=tenant.headers,
    ) as client:
        yield client


def assert_problem(response, status, code):
    assert (response.status_code, response.json()["code"]) == (status, code)
    if status == 503:
        assert response.headers["retry-after"] == "1"
    assert "SELECT" not in response.text
    assert "Traceback" not in response.text


# Committed or not


async def test_a_block_that_ends_is_committed(tenant):
    async with write_session(tenant.ref) as session:
        await add_note(session, "kept")
    assert await bodies(tenant) == ["kept"]


@pytest.mark.parametrize("failure", [ValueError, asyncio.CancelledError, errors.NotFound])
async def test_a_block_that_is_left_by_an_exception_is_rolled_back(anyone, failure):
    with pytest.raises(failure):
        async with write_session(anyone.ref) as session:
            raise failure(await add_note(session, "lost"))
    assert await bodies(anyone) == [anyone.slug]


async def test_a_second_transaction_of_a_session_is_still_scoped(tenant):
    async with write_session(tenant.ref) as session:
        await add_note(session, "first")
        await session.commit()
        await add_note(session, "second")
        await session.rollback()
        await add_note(session, "third")
        assert await session.scalar(text("SELECT current_user")) == tenant.ref.schema
    assert await bodies(tenant) == ["first", "third"]


async def test_a_second_transaction_of_a_reading_session_is_still_read_only(anyone):
    async def write_after_a_commit(session):
        await session.commit()
        await add_note(session, "lost")

    with pytest.raises(errors.DatabaseDefect, match="read-only transaction"):
        async with read_session(anyone.ref) as session:
            await write_after_a_commit(session)
    assert await bodies(anyone) == [anyone.slug]


async def test_a_reading_session_cannot_write(anyone):
    with pytest.raises(errors.DatabaseDefect, match="read-only transaction"):
        async with read_session(anyone.ref) as session:
            await add_note(session, "lost")
    assert await bodies(anyone) == [anyone.slug]


async def test_autocommit_can_not_be_turned_on_in_a_session(anyone):
    async def turn_it_on(session):
        await session.commit()
        await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
        await add_note(session, "lost")

    with pytest.raises(exc.InvalidRequestError, match="AUTOCOMMIT"):
        async with write_session(anyone.ref) as session:
            await turn_it_on(session)
    assert await bodies(anyone) == [anyone.slug]


async def test_a_swallowed_error_is_not_reported_as_success(anyone):
    """Told to commit a failed transaction, PostgreSQL rolls back and calls that a success."""

    async def write_and_swallow(session):
        await add_note(session, "lost")
        with contextlib.suppress(exc.DBAPIError):
            await raise_sqlstate(session, "23505")

    with pytest.raises(errors.DatabaseDefect, match="the transaction had failed"):
        async with write_session(anyone.ref) as session:
            await write_and_swallow(session)
    assert await bodies(anyone) == [anyone.slug]


async def test_an_error_inside_a_savepoint_may_be_swallowed(tenant):
    async with write_session(tenant.ref) as session:
        await add_note(session, "kept")
        with contextlib.suppress(exc.DBAPIError):
            async with session.begin_nested():
                await add_note(session, "lost")
                await raise_sqlstate(session, "23505")
    assert await bodies(tenant) == ["kept"]


@pytest.mark.parametrize("way", [use_sqlalchemy, use_the_driver])
async def test_a_session_that_is_used_after_its_block_reaches_no_connection(fleet, configure, way):
    await configure(pool_size=1)
    async with read_session(fleet[0].ref) as session:
        assert await way(session) == [(fleet[0].slug, fleet[0].ref.schema)]
    with pytest.raises((exc.SQLAlchemyError, AttributeError, AssertionError)):
        await way(session)
    async with read_session(fleet[1].ref) as other:
        assert await way(other) == [(fleet[1].slug, fleet[1].ref.schema)]


@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("way", [use_sqlalchemy, use_the_driver])
async def test_a_task_that_outlives_its_block_leads_no_other_tenant_astray(
    fleet, configure, way, steps
):
    """Such code is a defect, but its price must not be another tenant's rows."""
    await configure(pool_size=1)
    with contextlib.suppress(exc.SQLAlchemyError, errors.ApplicationError):
        async with read_session(fleet[0].ref) as session:
            if steps > 3:
                await way(session)
            leaked = asyncio.create_task(way(session))
            for _ in range(steps):
                await asyncio.sleep(0)
    for tenant in fleet[1:6]:
        try:
            async with read_session(tenant.ref) as other:
                assert await way(other) == [(tenant.slug, tenant.ref.schema)]
        except (exc.SQLAlchemyError, errors.ApplicationError):
            continue  # The connection was in a state that nobody can use.
    await asyncio.gather(leaked, return_exceptions=True)
    async with read_session(fleet[6].ref) as other:
        assert await way(other) == [(fleet[6].slug, fleet[6].ref.schema)]


# What the database reports


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("40P01", errors.TransactionConflict),
        ("40001", errors.TransactionConflict),
        ("55P03", errors.LockTimeout),
        ("57014", errors.StatementTimeout),
        ("53100", errors.StorageFull),
        ("53200", errors.DatabaseUnavailable),
        ("53300", errors.DatabaseUnavailable),
        ("58030", errors.DatabaseUnavailable),
        ("22001", errors.InvalidInput),
        ("22003", errors.InvalidInput),
    ],
)
async def test_what_the_database_reports_becomes_an_error_of_the_application(
    anyone, sqlstate, kind
):
    async def write_and_fail(session):
        await add_note(session, "lost")
        await raise_sqlstate(session, sqlstate)

    with pytest.raises(errors.ApplicationError) as error:
        async with write_session(anyone.ref) as session:
            await write_and_fail(session)
    assert type(error.value) is kind
    assert await bodies(anyone) == [anyone.slug]


@pytest.mark.parametrize(
    ("method", "kind"), [("fetch", errors.ConnectionLost), ("execute", errors.CommitInDoubt)]
)
async def test_a_driver_that_was_told_of_the_end_is_a_lost_connection(
    anyone, configure, monkeypatch, method, kind
):
    await configure(pool_size=1)
    assert await bodies(anyone) == [anyone.slug]  # Now there is a connection.
    original = getattr(TenantConnection, method)

    async def refuse(driver, query, *rest, **options):
        if query.startswith("BEGIN"):
            return await original(driver, query, *rest, **options)
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) …")

    count = CompiledStatement(select(func.count()).select_from(Note))
    with monkeypatch.context() as patch:
        patch.setattr(TenantConnection, method, refuse)
        with pytest.raises(kind):
            async with write_session(anyone.ref) as session:
                await session.fetch(count)
    assert await bodies(anyone) == [anyone.slug]
    assert get_pool_state().in_use == 0


@pytest.mark.parametrize("sqlstate", ["23505", "42P01", "42501", "25P02"])
async def test_a_defect_of_ours_stays_what_it_is(anyone, sqlstate):
    with pytest.raises(errors.DatabaseDefect, match=sqlstate) as error:
        async with write_session(anyone.ref) as session:
            await raise_sqlstate(session, sqlstate)
    # What the caller is told says nothing of the database.
    assert sqlstate not in error.value.detail


async def test_a_server_without_a_connection_left_is_unavailable_until_it_has_one(
    api, configure, runtime
):
    """What the server then reports, while the pool connects, is 53300."""
    login = await runtime.fetchval("SELECT current_user")
    superuser = await asyncpg.connect(superuser_url())
    await configure()
    await superuser.execute(f'ALTER ROLE "{login}" CONNECTION LIMIT 0')
    try:
        refused = await api.get("/conversations")
    finally:
        await superuser.execute(f'ALTER ROLE "{login}" CONNECTION LIMIT -1')
        await superuser.close()

    assert_problem(refused, 503, "database_unavailable")
    assert (await api.get("/conversations")).status_code == 200


async def test_an_exhausted_pool_is_reported_within_its_timeout(tenant, configure, client):
    await configure(pool_size=1, pool_timeout_seconds=0.2)
    async with read_session(tenant.ref):
        started_at = time.monotonic()
        answer = await client.get("/api/v1/conversations", headers=tenant.headers)
        assert 0.2 <= time.monotonic() - started_at < 0.6
        assert_problem(answer, 503, "pool_exhausted")
        waiting = asyncio.create_task(bodies(tenant))
        await asyncio.sleep(0.05)
        assert (get_pool_state().in_use, get_pool_state().waiting) == (1, 1)
        with pytest.raises(errors.PoolExhausted):
            await waiting
    answer = await client.get("/api/v1/conversations", headers=tenant.headers)
    assert answer.status_code == 200
    assert (get_pool_state().in_use, get_pool_state().waiting) == (0, 0)


def test_a_request_waits_for_a_connection_for_a_second_by_default():
    assert get_settings().pool_timeout_seconds == 1.0


async def test_a_lock_that_is_held_too_long_is_reported(tenant, api, configure, owner):
    conversation = (await api.post("/conversations", json={})).json()
    await configure(lock_timeout_seconds=0.1)
    async with locked(owner, tenant, "conversations"):
        answer = await api.patch(f"/conversations/{conversation['id']}", json={"title": "x"})
    assert_problem(answer, 503, "lock_timeout")
    assert (await api.get(f"/conversations/{conversation['id']}")).json() == {
        key: value for key, value in conversation.items() if key != "messages"
    }


async def test_a_statement_that_runs_too_long_is_reported(tenant, api, configure, owner):
    await configure(statement_timeout_seconds=0.1)
    async with locked(owner, tenant, "conversations"):
        answer = await api.get("/conversations")
    assert_problem(answer, 503, "statement_timeout")
    assert (await api.get("/conversations")).status_code == 200


async def test_one_of_two_deadlocked_transactions_is_told_of_the_conflict(tenant):
    async with write_session(tenant.ref) as session:
        await add_note(session, "a")
        await add_note(session, "b")
    both_hold_one = asyncio.Barrier(2)

    async def change(first, second):
        async with write_session(tenant.ref) as session:
            for body in (first, second):
                await session.execute(
                    text("UPDATE sample_notes SET created_at = now() WHERE body = :body"),
                    {"body": body},
                )
                if body is first:
                    await both_hold_one.wait()

    outcomes = await asyncio.gather(change("a", "b"), change("b", "a"), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {type(None), errors.TransactionConflict}


async def test_a_serialization_failure_is_a_conflict(tenant):
    async with write_session(tenant.ref) as session:
        await add_note(session, "a")
    change = text("UPDATE sample_notes SET body = body || 'x'")

    async def come_too_late(session):
        await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        await session.execute(select(Note))
        async with write_session(tenant.ref) as early:
            await early.execute(change)
        await session.execute(change)

    with pytest.raises(errors.TransactionConflict):
        async with write_session(tenant.ref) as late:
            await come_too_late(late)
    assert await bodies(tenant) == ["ax"]


# Over HTTP


@pytest.mark.parametrize("relation", ["{schema}.sample_notes", "public.tenants_apikey"])
async def test_a_route_that_forgot_to_enter_a_tenant_answers_500_without_data(
    fleet, faulty_api, relation
):
    relation = relation.format(schema=fleet[0].ref.schema)
    answer = await faulty_api.get("/forgotten", params={"relation": relation})
    assert_problem(answer, 500, "internal_error")
    assert fleet[0].slug not in answer.text
    assert "denied" not in answer.text


async def test_a_route_that_swallowed_a_database_error_answers_500(faulty_api, tenant):
    answer = await faulty_api.post("/swallow", params={"word": "swallowed"})
    assert_problem(answer, 500, "internal_error")
    assert await bodies(tenant) == []


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
async def test_a_conflict_repeats_the_whole_request_once(faulty_api, tenant, sqlstate):
    values = {"word": f"once {sqlstate}", "sqlstate": sqlstate, "times": 1}
    assert (await faulty_api.post("/fail", params=values)).status_code == 204
    assert faulty.attempts[values["word"]] == 2
    assert await bodies(tenant) == [values["word"]]


@pytest.mark.parametrize("sqlstate", ["40P01", "40001"])
async def test_a_conflict_that_comes_again_is_answered_with_503(faulty_api, tenant, sqlstate):
    values = {"word": f"twice {sqlstate}", "sqlstate": sqlstate, "times": 9}
    answer = await faulty_api.post("/fail", params=values)
    assert_problem(answer, 503, "transaction_conflict")
    assert faulty.attempts[values["word"]] == 2
    assert await bodies(tenant) == []


async def test_what_is_no_conflict_is_not_repeated(faulty_api, tenant):
    values = {"word": "lock", "sqlstate": "55P03", "times": 1}
    assert_problem(await faulty_api.post("/fail", params=values), 503, "lock_timeout")
    assert faulty.attempts["lock"] == 1


# Connections that are lost


async def test_a_backend_killed_while_idle_is_replaced_silently(anyone, configure, runtime):
    await configure(pool_size=1)
    async with read_session(anyone.ref) as session:
        backend = await session.scalar(BACKEND)
    await kill(runtime, backend)
    async with read_session(anyone.ref) as session:
        assert await session.scalar(BACKEND) != backend


async def test_all_backends_killed_at_once_cost_no_request(fleet, client, configure, runtime):
    await configure(pool_size=4, pool_timeout_seconds=20)
    await asyncio.gather(*(bodies(tenant) for tenant in fleet))
    ours = await runtime.fetch(
        "SELECT pid FROM pg_stat_activity WHERE usename = user AND pid <> pg_backend_pid()"
    )
    assert len(ours) > 1
    await kill(runtime, *(row["pid"] for row in ours))
    answers = await asyncio.gather(
        *(client.get("/api/v1/conversations", headers=tenant.headers) for tenant in fleet)
    )
    assert {answer.status_code for answer in answers} == {200}


async def test_a_backend_killed_in_mid_transaction_is_a_lost_connection(anyone, runtime):
    async def lose_the_connection(session):
        await add_note(session, "lost")
        await kill(runtime, await session.scalar(BACKEND))
        await add_note(session, "lost")

    with pytest.raises(errors.ConnectionLost):
        async with write_session(anyone.ref) as session:
            await lose_the_connection(session)
    assert await bodies(anyone) == [anyone.slug]


async def test_a_backend_killed_before_the_commit_was_sent_is_a_lost_connection(anyone, runtime):
    async def lose_the_connection(session):
        await add_note(session, "lost")
        await kill(runtime, await session.scalar(BACKEND))

    with pytest.raises(errors.ConnectionLost):
        async with write_session(anyone.ref) as session:
            await lose_the_connection(session)
    assert await bodies(anyone) == [anyone.slug]


@pytest.mark.parametrize("path", ["/conversations/{id}", "/conversations/{id}/messages"])
async def test_a_request_whose_backend_is_killed_is_repeated_whole(
    tenant, api, owner, runtime, path
):
    """Once through SQLAlchemy's execution, once through the driver's."""
    conversation = (await api.post("/conversations", json={})).json()
    path = path.format(id=conversation["id"])
    table = "messages" if path.endswith("messages") else "conversations"
    write = (
        api.post(path, json={"role": "user", "content": "once"})
        if table == "messages"
        else api.patch(path, json={"title": "once"})
    )
    async with locked(owner, tenant, table):
        request = asyncio.create_task(write)
        await kill(runtime, await waiting_backend(runtime))
        await waiting_backend(runtime)
    answer = await request
    assert answer.is_success
    after = (await api.get(f"/conversations/{conversation['id']}")).json()
    assert after["version"] == conversation["version"] + 1


async def test_a_request_whose_backend_is_killed_twice_is_answered_with_503(
    tenant, api, owner, runtime
):
    async with locked(owner, tenant, "conversations"):
        request = asyncio.create_task(api.post("/conversations", json={}))
        for _ in range(2):
            await kill(runtime, await waiting_backend(runtime))
        answer = await request
    assert_problem(answer, 503, "database_unavailable")
    assert (await api.get("/conversations")).json()["data"] == []


async def test_a_request_in_mid_rollout_survives_a_changed_column_type(tenant, api, owner):
    """What the server then reports is "cached plan must not change result type"."""
    note = (await api.post("/notes", json={"body": "Hi"})).json()
    schema = tenant.ref.schema
    for kind in ("varchar(2000)", "text", "varchar(1999)"):
        assert (await api.get(f"/notes/{note['id']}")).json() == note
        await owner.execute(f"ALTER TABLE {schema}.sample_notes ALTER body TYPE {kind}")
        assert (await api.get(f"/notes/{note['id']}")).json() == note


async def test_appends_and_pages_survive_a_changed_column_type(tenant, api, owner):
    conversation = (await api.post("/conversations", json={})).json()
    path = f"/conversations/{conversation['id']}/messages"
    schema = tenant.ref.schema
    for seq, kind in enumerate(("varchar(2000)", "text", "varchar(1999)"), start=1):
        appended = await api.post(path, json={"role": "user", "content": "Hi", "model": "m"})
        assert appended.status_code == 201
        assert len((await api.get(path)).json()["data"]) == seq
        await owner.execute(f"ALTER TABLE {schema}.messages ALTER model TYPE {kind}")
        assert len((await api.get(path)).json()["data"]) == seq


async def test_tenants_at_different_revisions_alternate_on_one_connection(
    make_tenant, client, configure, owner
):
    tenants = [await make_tenant(), await make_tenant()]
    await configure(pool_size=1)
    paths = []
    for tenant in tenants:
        answer = await client.post(
            "/api/v1/notes", json={"body": tenant.slug}, headers=tenant.headers
        )
        paths.append(f"/api/v1/notes/{answer.json()['id']}")
    schema = tenants[0].ref.schema
    await owner.execute(f"ALTER TABLE {schema}.sample_notes ALTER body TYPE varchar(2000)")
    for _ in range(6):
        for tenant, path in zip(tenants, paths, strict=True):
            answer = await client.get(path, headers=tenant.headers)
            assert (answer.status_code, answer.json()["body"]) == (200, tenant.slug)


@pytest.fixture
async def relay(configure):
    """The network between the runtime login and the database; one connection, quick limits."""
    async with open_relay(get_settings().runtime_url.get_secret_value()) as relay:
        await configure(
            runtime_url=SecretStr(relay.url), pool_size=1, statement_timeout_seconds=0.1
        )
        yield relay
        await configure()


@pytest.mark.slow
async def test_a_network_that_goes_silent_in_mid_query_is_given_up_in_time(anyone, relay):
    async def ask_in_vain(session):
        await session.scalar(BACKEND)
        relay.freeze()
        await session.scalar(BACKEND)

    started_at = time.monotonic()
    with pytest.raises(errors.DatabaseUnavailable) as error:
        async with read_session(anyone.ref) as session:
            await ask_in_vain(session)
    assert not isinstance(error.value, errors.CommitInDoubt)
    # The statement's limit, a second for the driver's, two for closing the connection.
    assert time.monotonic() - started_at < 3.5
    relay.thaw()
    assert await bodies(anyone) == [anyone.slug]


@pytest.mark.slow
async def test_a_network_that_goes_silent_in_mid_commit_leaves_it_in_doubt(tenant, relay):
    async def write_and_freeze(session):
        await add_note(session, "perhaps")
        relay.freeze()

    with pytest.raises(errors.CommitInDoubt):
        async with write_session(tenant.ref) as session:
            await write_and_freeze(session)
    relay.thaw()
    assert await bodies(tenant) in (["perhaps"], [])
