"""A registry with ten thousand of everything, and what PostgreSQL does to answer from it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper

from tenants.apps import get_settings
from tenants.rollouts import Options

COUNT = 10_000
# Slugs and addresses of the crowd; nothing else in the tests' registry begins so.
MARK = "crowd"
# One that carried them all, every hundredth in vain.
ROLLOUT = "01a21075-8a1c-774d-923c-cf35ead5cf5a"
_OPTIONS = orjson.dumps(Options().as_json()).decode()

_FILL = f"""
INSERT INTO tenants_tenant
    (id, slug, name, status, plan, limits, modules, database, created_at, updated_at)
SELECT gen_random_uuid(), '{MARK}-' || lpad(n::text, 5, '0'), 'Company number ' || n,
       CASE WHEN n % 100 = 0 THEN 'suspended' ELSE 'active' END,
       CASE WHEN n % 50 = 0 THEN 'pro' ELSE 'standard' END,
       '{{}}', '{{conversations}}', 'default', now(), now()
FROM generate_series(1, {COUNT}) n;
INSERT INTO tenants_apikey (public_id, secret_hash, tenant_id, name, scopes, created_at)
SELECT substr(md5(t.slug), 1, 12), sha256(t.slug::bytea), t.id, 'First key', '{{read}}', now()
FROM tenants_tenant t WHERE t.slug LIKE '{MARK}-%';
INSERT INTO tenants_domain (host, tenant_id, token, verified_at, created_at)
SELECT t.slug || '.example.com', t.id, md5(t.slug), now(), now()
FROM tenants_tenant t WHERE t.slug LIKE '{MARK}-%';
INSERT INTO tenants_user (username, email, password, first_name, last_name, is_superuser,
                          is_staff, is_active, date_joined)
SELECT t.slug || '@example.com', t.slug || '@example.com', '!', '', '', false, false, true, now()
FROM tenants_tenant t WHERE t.slug LIKE '{MARK}-%';
INSERT INTO tenants_membership (id, tenant_id, user_id, email, role, created_at, accepted_at)
SELECT gen_random_uuid(), t.id, u.id, u.email, 'owner', now(), now()
FROM tenants_tenant t JOIN tenants_user u ON u.username = t.slug || '@example.com';
INSERT INTO tenantry.audit_log
SELECT gen_random_uuid(), now(), 'command', '{MARK}', '{MARK}', '', '', 'tenant.created',
       t.id, t.slug, '', '{{}}'
FROM tenants_tenant t WHERE t.slug LIKE '{MARK}-%';
INSERT INTO tenants_rollout (id, targets, scope, options, status, started_by, note, planned,
                             migrated, failed, cancel_requested, runner, started_at, finished_at)
SELECT CASE WHEN n = {COUNT} THEN '{ROLLOUT}' ELSE lpad(to_hex(n), 32, '0')::uuid END,
       '{{}}', '{{"tenants": null}}', '{_OPTIONS}', 'completed', '{MARK}', '', 1, 1, 0, false, '',
       now(), now()
FROM generate_series(1, {COUNT}) n;
INSERT INTO tenants_rolloutattempt (rollout_id, tenant_id, slug, succeeded, revisions, error, tries,
                                    milliseconds, at)
SELECT r.id, t.id, t.slug, r.id <> '{ROLLOUT}' OR NOT t.slug LIKE '%00', '{{}}', '', 1, 12, now()
FROM tenants_rollout r JOIN tenants_tenant t
ON t.slug LIKE '{MARK}-%' AND (r.id = '{ROLLOUT}' OR t.slug = '{MARK}-05000')
WHERE r.started_by = '{MARK}';
"""
_CLEAR = f"""
DELETE FROM tenants_rolloutattempt WHERE slug LIKE '{MARK}-%';
DELETE FROM tenants_rollout WHERE started_by = '{MARK}';
DELETE FROM tenants_membership WHERE email LIKE '{MARK}-%';
DELETE FROM tenants_apikey WHERE tenant_id IN
    (SELECT id FROM tenants_tenant WHERE slug LIKE '{MARK}-%');
DELETE FROM tenants_domain WHERE host LIKE '{MARK}-%';
DELETE FROM tenants_user WHERE username LIKE '{MARK}-%';
DELETE FROM tenants_tenant WHERE slug LIKE '{MARK}-%';
"""


@contextlib.contextmanager
def gathered() -> Iterator[None]:
    """The crowd, for a block; PostgreSQL's planner knows of it."""
    settings = get_settings()
    with psycopg.connect(settings.registry_url.get_secret_value(), autocommit=True) as registry:
        registry.execute(_FILL)
        registry.execute("VACUUM ANALYZE")
        with psycopg.connect(settings.owner_url.get_secret_value(), autocommit=True) as owner:
            owner.execute("VACUUM ANALYZE tenantry.audit_log")
            try:
                yield
            finally:
                registry.execute(_CLEAR)
                owner.execute("DELETE FROM tenantry.audit_log WHERE actor_id = %s", [MARK])


Query = tuple[str, Any]


@contextlib.contextmanager
def recorded() -> Iterator[list[Query]]:
    """Every statement that Django's ORM runs in the block, whatever the thread."""
    queries: list[Query] = []
    execute = CursorWrapper.execute

    def record(self: CursorWrapper, sql: str, params: Any = None) -> Any:
        queries.append((str(sql), params))
        return execute(self, sql, params)

    CursorWrapper.execute = record  # type: ignore[method-assign]
    try:
        yield queries
    finally:
        CursorWrapper.execute = execute  # type: ignore[method-assign]


def find_sequential_scans(queries: list[Query]) -> list[str]:
    """The queries for which PostgreSQL would read a whole table of over a thousand rows."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND reltuples > 1000")
        large = {name for (name,) in cursor.fetchall()}
        for sql, params in queries:
            if sql.lstrip().upper().startswith("SELECT"):
                cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
                plan = cursor.fetchone()[0][0]["Plan"]
                if any(
                    node["Node Type"] == "Seq Scan" and node["Relation Name"] in large
                    for node in _nodes(plan)
                ):
                    found.append(sql)
    return found


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
