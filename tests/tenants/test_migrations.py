"""The registry's migrations keep what an earlier release has written."""

import asyncio
from dataclasses import asdict

import psycopg
import pytest

from tenants.logins import generate_passwords, setup_database
from tests.project.processes import run_command
from tests.tenants.test_logins import prefix, superuser, superuser_url  # noqa: F401  # Fixtures.

pytestmark = pytest.mark.slow

_ROWS = """
INSERT INTO tenants_tenant (id, slug, name, status, modules, database, created_at, updated_at)
VALUES ('01a21063-21af-7404-96b2-41d495830194', 'acme', 'Acme', 'active', '{}', 'default',
        now(), now());
INSERT INTO tenants_domain (host, tenant_id, created_at)
SELECT 'chat.example.com', id, '2026-01-02' FROM tenants_tenant;
INSERT INTO tenants_user (username, email, password, first_name, last_name, is_superuser,
                          is_staff, is_active, date_joined)
VALUES ('anna', 'Anna@Example.com', '!', '', '', false, false, true, now()),
       ('bob', '', '!', '', '', false, false, true, now());
INSERT INTO tenants_membership (user_id, tenant_id, role, created_at)
SELECT u.id, t.id, 'owner', '2026-01-03' FROM tenants_user u, tenants_tenant t;
"""


async def test_what_was_there_before_administrators_had_their_tools(prefix):  # noqa: F811
    logins = await setup_database(superuser_url(), prefix, generate_passwords(), prefix)
    settings = {f"TENANTRY_{name.upper()}": url for name, url in asdict(logins).items()}

    async def migrate(*target):
        result = await asyncio.to_thread(run_command, "migrate", *target, **settings)
        assert result.returncode == 0, result.stderr

    await migrate("tenants", "0002")
    with psycopg.connect(logins.registry_url) as registry:
        registry.execute(_ROWS)
    await migrate()

    with psycopg.connect(logins.registry_url) as registry:
        domains = registry.execute(
            "SELECT host, verified_at::date::text, length(token) FROM tenants_domain"
        ).fetchall()
        members = registry.execute(
            "SELECT u.username, m.email, m.role, m.accepted_at::date::text, pg_typeof(m.id)::text "
            "FROM tenants_membership m JOIN tenants_user u ON u.id = m.user_id ORDER BY 1"
        ).fetchall()
        tenant = registry.execute("SELECT plan, limits::text FROM tenants_tenant").fetchone()
        registry.execute("UPDATE tenants_tenant SET limits = '{\"domains\": 1}'")
        version = registry.execute("SELECT version FROM tenants_registryversion").fetchone()
    assert domains == [("chat.example.com", "2026-01-02", 32)]
    assert members == [
        ("anna", "anna@example.com", "owner", "2026-01-03", "uuid"),
        ("bob", "bob", "owner", "2026-01-03", "uuid"),
    ]
    assert tenant == ("standard", "{}")
    assert version is not None
    assert version[0] > 1
