"""Checks of the three logins: each can do its work, and no more."""

from typing import Any

from django.db import connection

from tenants.doctor.connection import connect
from tenants.doctor.finding import Finding, count, list_some, ok, problem, warning
from tenants.logins import find_problems
from tenants.settings import EngineSettings

_SET_UP = "manage.py setup_database makes a login as it should be."
_LOGIN = """
SELECT rolname, quote_ident(rolname) AS quoted, rolsuper, rolcreaterole,
       has_database_privilege(current_database(), 'CREATE') AS may_create,
       quote_ident(current_database()) AS database
FROM pg_roles WHERE rolname = current_user
"""
# Whose schemas another login owns, the owner login can neither migrate nor drop.
_FOREIGN_SCHEMAS = r"""
SELECT count(*) FROM pg_namespace
WHERE nspname ~ '^t_[0-9a-f]{32}$' AND NOT pg_has_role(nspowner, 'USAGE')
"""
_FOREIGN_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = to_regnamespace('public') AND relkind = 'r' AND relname = ANY($1)
  AND NOT pg_has_role(relowner, 'USAGE')
"""
_AUDIT_LOG = """
SELECT pg_has_role(c.relowner, 'MEMBER') AS owned, has_schema_privilege(n.oid, 'USAGE') AS entered,
       ARRAY(SELECT p FROM unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) AS p
             WHERE has_table_privilege(c.oid, p)) AS rights
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'tenantry' AND c.relname = 'audit_log'
"""
_AUDIT_RIGHTS = {"SELECT", "INSERT"}


async def check_runtime(settings: EngineSettings) -> list[Finding]:
    """That the login of the tenant API can enter tenants and do nothing else."""
    problems = await find_problems(settings)
    if problems:
        return [problem("runtime login", "; ".join(problems), _SET_UP)]
    return [ok("runtime login", "It can enter tenants, and nothing else.")]


async def check_owner(settings: EngineSettings) -> list[Finding]:
    """That the login that makes schemas and roles can make them, and owns those that there are."""
    async with connect(settings.owner_url, settings) as owner:
        login = await owner.fetchrow(_LOGIN)
        foreign = await owner.fetchval(_FOREIGN_SCHEMAS)
    name, quoted = login["rolname"], login["quoted"]
    if not login["rolcreaterole"] and not login["rolsuper"]:
        return [
            problem("owner login", f"{name} can't make roles.", f"ALTER ROLE {quoted} CREATEROLE;")
        ]
    if not login["may_create"]:
        return [
            problem(
                "owner login",
                f"{name} can't make schemas.",
                f"GRANT CREATE ON DATABASE {login['database']} TO {quoted};",
            )
        ]
    if foreign:
        return [
            problem(
                "owner login",
                f"{name} doesn't own the schemas of {count(foreign, 'tenant')}.",
                "Use the login that made them, or let a superuser REASSIGN OWNED BY that one.",
            )
        ]
    if login["rolsuper"]:
        return [
            warning(
                "owner login",
                f"{name} is a superuser; it needs CREATEROLE and CREATE on the database.",
                _SET_UP,
            )
        ]
    return [ok("owner login", f"{name} can make schemas and roles.")]


async def check_registry(settings: EngineSettings) -> list[Finding]:
    """That Django's login owns Django's tables, and can only add to the audit log."""
    tables = [*connection.introspection.django_table_names(), "django_migrations"]
    async with connect(settings.registry_url, settings) as registry:
        login = await registry.fetchrow(_LOGIN)
        foreign = [row["relname"] for row in await registry.fetch(_FOREIGN_TABLES, tables)]
        log = await registry.fetchrow(_AUDIT_LOG)
    name, quoted = login["rolname"], login["quoted"]
    if foreign:
        tables_finding = problem(
            "registry login",
            f"{name} doesn't own {count(len(foreign), 'table')} of the registry: "
            f"{list_some(foreign)}",
            f"Use the login that made them, or let a superuser ALTER TABLE … OWNER TO {quoted};",
        )
    else:
        tables_finding = ok("registry login", f"{name} owns the registry's tables.")
    if log is None:
        return [tables_finding]  # That it isn't there yet is for the migrations to say.
    return [tables_finding, _judge_audit_log(name, quoted, log)]


def _judge_audit_log(name: str, quoted: str, log: Any) -> Finding:
    needless = sorted(set(log["rights"]) - _AUDIT_RIGHTS)
    missing = sorted(_AUDIT_RIGHTS - set(log["rights"]))
    if log["owned"] or needless:
        return problem(
            "audit log",
            f"{name} {'owns it' if log['owned'] else 'has ' + ', '.join(needless)}: the login "
            "could rewrite it.",
            f"REVOKE UPDATE, DELETE, TRUNCATE ON tenantry.audit_log FROM {quoted}; the table must "
            "belong to the owner login, and the registry login must not be a superuser.",
        )
    if missing or not log["entered"]:
        return problem(
            "audit log",
            f"{name} can't write it, so nothing can be administered.",
            f"GRANT USAGE ON SCHEMA tenantry TO {quoted}; "
            f"GRANT SELECT, INSERT ON tenantry.audit_log TO {quoted};",
        )
    return ok("audit log", f"{name} can read it and add to it, and nothing else.")
