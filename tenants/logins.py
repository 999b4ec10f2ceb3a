"""The three PostgreSQL logins: made from one privileged URL, and checked before serving.

registry owns Django's tables in `public`. runtime serves the tenant API and has no right but to
become a tenant's role. owner makes schemas and roles, and runs revisions.
"""

import secrets
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy.engine import URL, make_url

from tenants.settings import EngineSettings

MINIMUM_VERSION = 15
LOGIN_ATTRIBUTES = {
    "registry": "LOGIN NOINHERIT NOCREATEROLE NOCREATEDB",
    "runtime": "LOGIN NOINHERIT NOCREATEROLE NOCREATEDB",
    "owner": "LOGIN CREATEROLE NOCREATEDB",
}


@dataclass(frozen=True, slots=True)
class Logins:
    """The URLs of the three logins, as the settings want them."""

    registry_url: str
    runtime_url: str
    owner_url: str


def generate_passwords() -> dict[str, str]:
    """A password for each kind of login."""
    return {kind: secrets.token_urlsafe(24) for kind in LOGIN_ATTRIBUTES}


async def setup_database(
    privileged_url: str, database: str, passwords: dict[str, str], prefix: str = "tenantry"
) -> Logins:
    """Make the database and the three logins, or set their passwords if they exist.

    privileged_url: a superuser, or a login with CREATEROLE and CREATEDB.
    passwords: by kind of login. prefix: logins are named `<prefix>_<kind>`.
    Raises asyncpg.PostgresError or OSError as the server reports.
    """
    names = {kind: f"{prefix}_{kind}" for kind in LOGIN_ATTRIBUTES}
    server = await asyncpg.connect(privileged_url)
    try:
        for kind, name in names.items():
            exists = await server.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name)
            verb = "ALTER" if exists else "CREATE"
            await server.execute(
                f"{verb} ROLE {_name(name)} {LOGIN_ATTRIBUTES[kind]} "
                f"PASSWORD {_literal(passwords[kind])}"
            )
        if not await server.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await server.execute(
                f"CREATE DATABASE {_name(database)} ENCODING 'UTF8' TEMPLATE template0"
            )
    finally:
        await server.close()
    url = make_url(privileged_url).set(drivername="postgresql", database=database)
    target = await asyncpg.connect(_text(url))
    try:
        await target.execute(
            f"""
            REVOKE TEMPORARY, CREATE ON DATABASE {_name(database)} FROM PUBLIC;
            GRANT CREATE ON DATABASE {_name(database)} TO {_name(names["owner"])};
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT USAGE, CREATE ON SCHEMA public TO {_name(names["registry"])};
            """
        )
    finally:
        await target.close()
    return Logins(
        **{
            f"{kind}_url": _text(url.set(username=name, password=passwords[kind]))
            for kind, name in names.items()
        }
    )


async def find_problems(settings: EngineSettings) -> list[str]:
    """What is wrong with the logins, a sentence each; empty if the service may start.

    A runtime login that can do more than enter tenants would turn "permission denied" into
    silent access to every tenant's rows.
    Raises asyncpg.PostgresError or OSError if the server can't be reached.
    """
    runtime = await asyncpg.connect(
        settings.runtime_url.get_secret_value(), timeout=settings.connect_timeout_seconds
    )
    try:
        version = runtime.get_server_version().major
        if version < MINIMUM_VERSION:
            return [f"PostgreSQL {version} is too old; {MINIMUM_VERSION} or newer is needed."]
        row = await runtime.fetchrow(
            """
            SELECT rolname, rolsuper, rolcreaterole, rolbypassrls, rolcreatedb, rolreplication,
                   rolinherit
            FROM pg_roles WHERE rolname = current_user
            """
        )
        assert row is not None
        found = [
            f"has {word}"
            for column, word in {
                "rolsuper": "SUPERUSER",
                "rolcreaterole": "CREATEROLE",
                "rolbypassrls": "BYPASSRLS",
                "rolcreatedb": "CREATEDB",
                "rolreplication": "REPLICATION",
            }.items()
            if row[column]
        ]
        may_create = "SELECT has_database_privilege(current_database(), 'CREATE')"
        if not row["rolsuper"] and await runtime.fetchval(may_create):
            found.append("may create schemas in the database")
        found += await _membership_problems(runtime, version, inherits=row["rolinherit"])
        found += await _object_problems(runtime)
        return [f"the runtime login {row['rolname']} {problem}" for problem in found]
    finally:
        await runtime.close()


async def _membership_problems(connection: Any, version: int, *, inherits: bool) -> list[str]:
    """Roles that the login has beyond entering tenants: any other, or a tenant's inherited."""
    other = await connection.fetchval(
        """
        SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
        WHERE m.member = (SELECT oid FROM pg_roles WHERE rolname = current_user)
          AND r.rolname !~ '^t_[0-9a-f]{32}$' LIMIT 1
        """
    )
    problems = [f"is a member of {other}, which is no tenant's role"] if other else []
    if version < 16:
        # Grants follow the login's attribute here.
        return [*problems, "has INHERIT"] if inherits else problems
    inherited = await connection.fetchval(
        """
        SELECT r.rolname FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
        WHERE m.member = (SELECT oid FROM pg_roles WHERE rolname = current_user)
          AND m.inherit_option LIMIT 1
        """
    )
    return [*problems, f"inherits the rights of {inherited}"] if inherited else problems


async def _object_problems(connection: Any) -> list[str]:
    """What the login owns, of any kind, and what it may use without entering a tenant."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT ON (deptype)
            deptype = 'o' AS owned, pg_describe_object(classid, objid, objsubid) AS name
        FROM pg_shdepend
        WHERE refclassid = 'pg_authid'::regclass
          AND refobjid = (SELECT oid FROM pg_roles WHERE rolname = current_user)
          AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
          AND (deptype = 'o' OR deptype = 'a' AND classid IN
               ('pg_class'::regclass, 'pg_namespace'::regclass, 'pg_default_acl'::regclass))
        ORDER BY deptype DESC
        """
    )
    return [
        f"{'owns' if row['owned'] else 'has rights of its own on'} {row['name']}" for row in rows
    ]


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
