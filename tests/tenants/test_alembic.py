"""`alembic/env.py`: what plain Alembic commands do to a tenant that is in use."""

import time

import pytest
from alembic.config import Config
from sqlalchemy import text

from alembic import command
from tenants.lifecycle import owner_connection
from tenants.modules import get_module
from tenants.revisions import ENVIRONMENT, get_head
from tests.tenants.alembic_cli import run_alembic
from tests.tenants.throwaway import make_module

HEAD = get_head(get_module("conversations"))


@pytest.mark.slow
async def test_they_wait_for_a_lock_no_longer_than_a_request_would(make_tenant, monkeypatch):
    tenant = await make_tenant(["conversations"])
    monkeypatch.setenv("TENANTRY_LOCK_TIMEOUT_SECONDS", "0.2")
    async with owner_connection() as holder:
        await holder.execute(text(f'LOCK TABLE "{tenant.ref.schema}".alembic_version'))
        begun = time.monotonic()
        result = await run_alembic(tenant, "current")
    assert result.returncode != 0
    assert "lock timeout" in result.stderr
    assert time.monotonic() - begun < 20
    assert (await run_alembic(tenant, "current")).stdout == f"{HEAD} (head)\n"


async def test_what_is_meant_to_run_outside_a_transaction_runs_in_theirs(make_tenant, tmp_path):
    tenant = await make_tenant([])
    index = "CREATE INDEX CONCURRENTLY IF NOT EXISTS apart_idx ON tenant_schema.apart (id)"
    module = make_module(
        tmp_path,
        "apart",
        "op.execute('CREATE TABLE apart (id int)')",
        {"upgrade": f"op.execute('{index}')", "marks": "transactional = False"},
    )
    config = Config()
    config.set_main_option("script_location", str(ENVIRONMENT))
    config.set_main_option("version_locations", str(module.revisions))
    config.set_main_option("path_separator", "newline")

    def upgrade(connection):
        config.attributes.update(connection=connection, tenant=tenant.ref, module=module)
        command.upgrade(config, "heads")

    async with owner_connection() as connection:
        await connection.run_sync(upgrade)
        made = await connection.execute(
            text("SELECT to_regclass(:name) IS NOT NULL"),
            {"name": f"{tenant.ref.schema}.apart_idx"},
        )
        assert made.scalar_one()
