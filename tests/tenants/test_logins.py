"""The three logins: made from one privileged URL, and checked before anything is served."""

import os
import secrets
from pathlib import Path

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from project.dev.postgres import EmbeddedPostgres
from tenants.apps import get_settings
from tenants.logins import find_problems, generate_passwords, setup_database


def superuser_url():
    """The embedded server's superuser, for what no login of ours may do."""
    server = EmbeddedPostgres(Path(os.environ["TENANTRY_DATA_DIR"]) / "postgres")
    return server.dsn("postgres", server.superuser_password, "tenantry")


def at(url, **changes):
    return make_url(url).set(**changes).render_as_string(hide_password=False)


@pytest.fixture
async def superuser():
    connection = await asyncpg.connect(superuser_url())
    yield connection
    await connection.close()


@pytest.fixture
async def prefix(superuser):
    """A prefix for logins of one test; they and the database of this name go afterwards."""
    name = f"x{secrets.token_hex(4)}"
    yield name
    await superuser.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    roles = await superuser.fetchval(
        "SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles "
        "WHERE starts_with(rolname, $1)",
        name,
    )
    if roles:
        await superuser.execute(f"DROP OWNED BY {roles} CASCADE; DROP ROLE {roles}")


@pytest.fixture
async def login(superuser, prefix):
    """A login as set-up makes the runtime's, in the database of this run."""
    await superuser.execute(
        f"CREATE ROLE {prefix}_runtime LOGIN NOINHERIT NOCREATEROLE NOCREATEDB PASSWORD 'pw'"
    )
    return f"{prefix}_runtime"


async def grant(superuser, role, login, *, inherit=False):
    """Before version 16 a grant says nothing of inheritance; the login's attribute does."""
    options = f" WITH INHERIT {inherit}, SET TRUE" if has_grant_options(superuser) else ""
    await superuser.execute(f'GRANT "{role}" TO {login}{options}')


def has_grant_options(connection):
    return connection.get_server_version().major >= 16


async def find(login):
    url = at(superuser_url(), username=login, password="pw")
    return await find_problems(get_settings().model_copy(update={"runtime_url": SecretStr(url)}))


class TestFindProblems:
    async def test_the_logins_of_this_run_have_none(self, application):
        assert await find_problems(get_settings()) == []

    async def test_a_login_as_it_should_be_has_none(self, login, tenant, superuser):
        assert await find(login) == []
        await grant(superuser, tenant.ref.schema, login)
        assert await find(login) == []

    @pytest.mark.parametrize(
        "attribute", ["SUPERUSER", "CREATEROLE", "BYPASSRLS", "CREATEDB", "REPLICATION"]
    )
    async def test_each_attribute_that_is_too_much_is_reported(self, login, superuser, attribute):
        await superuser.execute(f"ALTER ROLE {login} {attribute}")
        assert await find(login) == [f"the runtime login {login} has {attribute}"]

    async def test_a_tenants_role_that_is_inherited_is_reported(self, login, superuser, tenant):
        await superuser.execute(f"ALTER ROLE {login} INHERIT")
        await grant(superuser, tenant.ref.schema, login, inherit=True)
        said = f"inherits the rights of {tenant.ref.schema}"
        assert await find(login) == [
            f"the runtime login {login} {said if has_grant_options(superuser) else 'has INHERIT'}"
        ]

    async def test_a_membership_in_any_other_role_is_reported(self, login, superuser, prefix):
        await superuser.execute(f"CREATE ROLE {prefix}_other NOLOGIN")
        await grant(superuser, f"{prefix}_other", login)
        assert await find(login) == [
            f"the runtime login {login} is a member of {prefix}_other, which is no tenant's role"
        ]

    @pytest.mark.parametrize(
        ("statement", "what"),
        [
            ("ALTER TABLE {schema}.messages OWNER TO {login}", "table {schema}.messages"),
            ("ALTER SCHEMA {schema} OWNER TO {login}", "schema {schema}"),
            (
                "CREATE FUNCTION {schema}.f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
                "ALTER FUNCTION {schema}.f() OWNER TO {login}",
                "function {schema}.f()",
            ),
            (
                "CREATE TABLE public.{login}_t (); ALTER TABLE public.{login}_t OWNER TO {login}",
                "table public.{login}_t",
            ),
        ],
    )
    async def test_whatever_it_owns_is_reported(
        self, login, superuser, make_tenant, statement, what
    ):
        tenant = await make_tenant()
        names = {"schema": tenant.ref.schema, "login": login}
        await superuser.execute(statement.format(**names))
        assert await find(login) == [f"the runtime login {login} owns {what.format(**names)}"]

    async def test_rights_that_need_no_entering_are_reported(self, login, superuser, make_tenant):
        tenant = await make_tenant()
        await superuser.execute(f"GRANT SELECT ON {tenant.ref.schema}.messages TO {login}")
        assert await find(login) == [
            f"the runtime login {login} has rights of its own on table {tenant.ref.schema}.messages"
        ]

    async def test_a_login_that_may_create_schemas_is_reported(self, login, superuser):
        await superuser.execute(f"GRANT CREATE ON DATABASE tenantry TO {login}")
        try:
            expected = f"the runtime login {login} may create schemas in the database"
            assert expected in await find(login)
        finally:
            await superuser.execute(f"REVOKE CREATE ON DATABASE tenantry FROM {login}")

    async def test_the_other_logins_in_its_place_are_refused(self, application):
        settings = get_settings()
        for name in ("registry_url", "owner_url"):
            swapped = settings.model_copy(update={"runtime_url": getattr(settings, name)})
            assert await find_problems(swapped), name

    async def test_one_url_for_everything_is_refused(self, application):
        url = SecretStr(superuser_url())
        problems = await find_problems(get_settings().model_copy(update={"runtime_url": url}))
        assert "the runtime login postgres has SUPERUSER" in problems

    async def test_everything_that_is_wrong_is_said_at_once(self, login, superuser, tenant):
        await superuser.execute(f"ALTER ROLE {login} CREATEROLE BYPASSRLS INHERIT")
        await grant(superuser, tenant.ref.schema, login, inherit=True)
        assert len(await find(login)) == 3

    async def test_the_service_does_not_start_with_such_a_login(
        self, application, login, superuser, monkeypatch
    ):
        await superuser.execute(f"ALTER ROLE {login} CREATEROLE")
        url = SecretStr(at(superuser_url(), username=login, password="pw"))
        settings = get_settings().model_copy(update={"runtime_url": url})
        monkeypatch.setattr(application, "settings", settings)
        assert await application.start() == [f"the runtime login {login} has CREATEROLE"]


async def read_attributes(superuser, prefix):
    rows = await superuser.fetch(
        """
        SELECT replace(rolname, $1, '') AS kind, rolcanlogin, rolinherit, rolsuper,
               rolcreaterole, rolcreatedb, rolbypassrls, rolreplication
        FROM pg_roles WHERE starts_with(rolname, $1)
        """,
        f"{prefix}_",
    )
    return {row["kind"]: tuple(row)[1:] for row in rows}


class TestSetup:
    async def test_it_makes_the_database_and_three_logins_of_few_rights(self, superuser, prefix):
        logins = await setup_database(superuser_url(), prefix, generate_passwords(), prefix)

        assert await read_attributes(superuser, prefix) == {
            "registry": (True, False, False, False, False, False, False),
            "runtime": (True, False, False, False, False, False, False),
            "owner": (True, True, False, True, False, False, False),
        }
        for kind in ("registry", "runtime", "owner"):
            url = make_url(getattr(logins, f"{kind}_url"))
            assert (url.drivername, url.username, url.database) == (
                "postgresql",
                f"{prefix}_{kind}",
                prefix,
            )

    async def test_what_it_makes_passes_the_check(self, superuser, prefix):
        logins = await setup_database(superuser_url(), prefix, generate_passwords(), prefix)
        settings = get_settings().model_copy(update={"runtime_url": SecretStr(logins.runtime_url)})
        assert await find_problems(settings) == []

    async def test_each_login_can_do_its_work_and_no_more(self, superuser, prefix):
        logins = await setup_database(superuser_url(), prefix, generate_passwords(), prefix)
        registry = await asyncpg.connect(logins.registry_url)
        await registry.execute("CREATE TABLE public.registry_table (id int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await registry.execute("CREATE SCHEMA mine")
        owner = await asyncpg.connect(logins.owner_url)
        await owner.execute(
            f"CREATE SCHEMA made; CREATE ROLE {prefix}_t NOLOGIN; "
            f"GRANT USAGE ON SCHEMA made TO {prefix}_t; CREATE TABLE made.rows (id int); "
            f"GRANT SELECT ON made.rows TO {prefix}_t"
        )
        await grant(owner, f"{prefix}_t", f"{prefix}_runtime")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute("SELECT * FROM public.registry_table")
        runtime = await asyncpg.connect(logins.runtime_url)
        for forbidden in (
            "SELECT * FROM public.registry_table",
            "SELECT * FROM made.rows",
            "CREATE TABLE public.mine (id int)",
            "CREATE TEMPORARY TABLE mine (id int)",
            "CREATE SCHEMA mine",
            "CREATE ROLE mine",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await runtime.execute(forbidden)
        await runtime.execute(f"SET ROLE {prefix}_t; SELECT * FROM made.rows")
        for connection in (registry, owner, runtime):
            await connection.close()

    async def test_run_again_it_sets_new_passwords_and_keeps_the_data(self, superuser, prefix):
        first = await setup_database(superuser_url(), prefix, generate_passwords(), prefix)
        registry = await asyncpg.connect(first.registry_url)
        await registry.execute("CREATE TABLE public.kept (id int)")
        await registry.close()

        second = await setup_database(superuser_url(), prefix, generate_passwords(), prefix)

        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(first.registry_url)
        registry = await asyncpg.connect(second.registry_url)
        assert await registry.fetchval("SELECT to_regclass('public.kept') IS NOT NULL")
        await registry.close()

    async def test_a_login_with_createrole_and_createdb_is_privilege_enough(
        self, superuser, prefix
    ):
        await superuser.execute(
            f"CREATE ROLE {prefix}_admin LOGIN CREATEROLE CREATEDB PASSWORD 'pw'"
        )
        url = at(superuser_url(), username=f"{prefix}_admin", password="pw", database="postgres")

        for _ in range(2):
            logins = await setup_database(url, prefix, generate_passwords(), prefix)

        settings = get_settings().model_copy(update={"runtime_url": SecretStr(logins.runtime_url)})
        assert await find_problems(settings) == []

    async def test_odd_passwords_and_names_are_quoted(self, superuser, prefix):
        odd = 'it\'s \\ "quoted" %s @:/?#[]'
        passwords = dict.fromkeys(generate_passwords(), odd)
        logins = await setup_database(superuser_url(), prefix, passwords, f'{prefix} "odd"')
        connection = await asyncpg.connect(logins.runtime_url)
        assert await connection.fetchval("SELECT current_user") == f'{prefix} "odd"_runtime'
        await connection.close()

    def test_passwords_are_long_and_differ(self):
        passwords = [*generate_passwords().values(), *generate_passwords().values()]
        assert len(set(passwords)) == 6
        assert min(map(len, passwords)) >= 32
