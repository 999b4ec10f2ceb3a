"""What rollouts live through: kills of their runner and of the server, a pooler, traffic."""

import asyncio
import dataclasses
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.db import connection as django_connection
from pydantic import SecretStr
from sqlalchemy import text

from project.dev.settings import ROOT
from tenants import modules
from tenants.apps import get_settings
from tenants.lifecycle import onboarding, owner_connection
from tenants.models import Rollout
from tenants.modules import get_modules
from tenants.rollouts import Options, Scope, plan, start_rollout
from tenants.testing import TESTER, connect
from tests.tenants.rollouts.conftest import NEW, NOTE, THINGS, read_state, slugs
from tests.tenants.rollouts.pooler import pooled
from tests.tenants.throwaway import write_revision

pytestmark = pytest.mark.slow

# Carries the fleet, or goes on with what a killed process began; the parent kills it.
_RUNNER = """
import asyncio, sys
from pathlib import Path
import django
django.setup()
from tenants import errors, modules
from tenants.actor import acting_command
from tenants.lifecycle import onboarding
from tenants.models import Rollout
from tenants.modules import get_modules, order_modules
from tenants.rollouts import (
    Options, Scope, list_rollouts, plan, resume_rollout, show_rollout_id, start_rollout
)
from tests.tenants.rollouts.conftest import NOTE, THINGS
from tests.tenants.throwaway import make_module
slow = "op.execute('SELECT pg_sleep(0.02)')\\n" + NOTE
loaded = order_modules([*get_modules(), make_module(Path(sys.argv[1]), "fleet", THINGS, slow)])
for importer in (modules, onboarding, plan):
    importer.get_modules = lambda: loaded
async def main():
    by, scope = acting_command(), Scope(modules=["fleet"])
    while True:
        try:
            newest = await list_rollouts(limit=1)
            print("reached", flush=True)
            if newest and newest[0].status == "interrupted":
                ended = await resume_rollout(show_rollout_id(newest[0].id), print, by=by)
            else:
                ended = await start_rollout(scope, Options(concurrency=2, retries=20), print, by=by)
            print("ended", ended.status, flush=True)
            return
        except errors.RolloutRunning:
            await asyncio.sleep(0.05)
asyncio.run(main())
"""


def start_runner(folder, lease_seconds):
    environment = {**os.environ, "TENANTRY_ROLLOUT_LEASE_SECONDS": str(lease_seconds)}
    process = subprocess.Popen(
        [sys.executable, "-c", _RUNNER, str(folder)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "reached\n"
    return process


async def count_states(fleet):
    """How many are at each state, in one query over all schemas' own tables."""
    counts = {}
    for tenant in fleet:
        state = await read_state(tenant)
        counts[state] = counts.get(state, 0) + 1
    return counts


async def test_a_runner_killed_at_random_twenty_times_leaves_all_at_head(
    make_fleet, load, tmp_path
):
    fleet = await make_fleet(200)
    kills, in_mid_run = 0, 0
    while True:
        process = await asyncio.to_thread(start_runner, tmp_path / "release", 0.5)
        await asyncio.sleep(random.uniform(0.02, 0.12))
        process.kill()
        process.communicate()
        kills += 1
        counts = await count_states(fleet)
        # Before the change or behind it, in all three places; nothing between.
        assert set(counts) <= {("fleet_0001", "fleet_0001", False), NEW}
        in_mid_run += 0 < counts.get(NEW, 0) < 200
        if counts.get(NEW, 0) == 200 or kills >= 60:
            break
        if kills >= 20:
            process = await asyncio.to_thread(start_runner, tmp_path / "release", 0.5)
            output, _ = await asyncio.to_thread(process.communicate)
            assert "ended completed" in output, output
            break

    assert kills >= 20
    assert in_mid_run >= 5
    assert await count_states(fleet) == {NEW: 200}
    load(THINGS, NOTE)
    run = await Rollout.objects.order_by("-id").afirst()
    assert run.status == "completed"
    assert run.migrated == 200


@pytest.fixture
async def durable():
    """Sessions from here on wait for the disk when they commit, which the tests' server doesn't."""

    async def alter(change):
        statement = f"ALTER ROLE CURRENT_USER {change} synchronous_commit"
        async with owner_connection() as connection:
            await connection.execute(text(statement + (" TO on" if change == "SET" else "")))
            await connection.commit()
        await sync_to_async(run_registry)(statement + (" TO on" if change == "SET" else ""))

    await alter("SET")
    yield
    await alter("RESET")


def close_registry():
    django_connection.close()


def run_registry(statement):
    with django_connection.cursor() as cursor:
        cursor.execute(statement)


async def test_a_server_that_is_killed_in_mid_run_costs_tries_and_no_tenant(
    make_fleet, durable, load, tmp_path
):
    fleet = await make_fleet(100)
    process = await asyncio.to_thread(start_runner, tmp_path / "release", 30)
    while NEW not in await count_states(fleet[::5]):
        await asyncio.sleep(0.005)
    pidfile = Path(os.environ["TENANTRY_DATA_DIR"]) / "postgres" / "data" / "postmaster.pid"
    os.kill(int(pidfile.read_text().splitlines()[0]), signal.SIGKILL)

    output, _ = await asyncio.to_thread(process.communicate)

    assert "ended completed" in output, output
    assert await count_states(fleet) == {NEW: 100}
    await sync_to_async(close_registry)()
    run = await Rollout.objects.order_by("-id").afirst()
    assert (run.status, run.migrated, run.failed) == ("completed", 100, 0)


async def test_it_all_works_through_a_transaction_pooler(make_fleet, make_tenant, load, settings):
    owner_url = settings.TENANTRY.owner_url.get_secret_value()
    with pooled(owner_url) as through:
        settings.TENANTRY = settings.TENANTRY.model_copy(update={"owner_url": SecretStr(through)})
        assert get_settings().owner_url.get_secret_value() == through
        from tenants.db import engine

        engine.configure(get_settings())
        try:
            # Onboarding, several at once, and erasing at the end go through it as well.
            fleet = await make_fleet(20)
            load(
                THINGS,
                NOTE,
                {
                    "upgrade": "op.get_bind().execute(sa.text('SELECT id FROM fleet_things'))",
                    "marks": "online = True",
                },
                {
                    "upgrade": "op.execute('CREATE INDEX CONCURRENTLY IF NOT EXISTS fleet_idx "
                    "ON tenant_schema.fleet_things (note)')",
                    "marks": "transactional = False",
                },
            )
            options = Options(concurrency=8)
            scope = Scope(slugs(fleet), ["fleet"])
            rollout = await start_rollout(scope, options, lambda _event: None, by=TESTER)
            assert (rollout.status, rollout.migrated) == ("completed", 20)
            assert await count_states(fleet) == {("fleet_0004", "fleet_0004", True): 20}
        finally:
            settings.TENANTRY = settings.TENANTRY.model_copy(
                update={"owner_url": SecretStr(owner_url)}
            )
            engine.configure(get_settings())


@pytest.fixture
def release(tmp_path, monkeypatch):
    """Load a newer release of the module `sample`, whose routes are served by the one before."""
    sample = next(module for module in get_modules() if module.name == "sample")
    others = [module for module in get_modules() if module is not sample]
    folder = tmp_path / "revisions"
    shutil.copytree(sample.revisions, folder, ignore=shutil.ignore_patterns("__pycache__"))

    def release(*upgrades):
        for number, upgrade in enumerate(upgrades, start=2):
            write_revision(
                folder, f"sample_{number:04d}", upgrade, parent=f"sample_{number - 1:04d}"
            )
        newer = dataclasses.replace(sample, revisions=folder)
        loaded = (*others, newer)
        for importer in (modules, onboarding, plan):
            monkeypatch.setattr(importer, "get_modules", lambda: loaded)

    return release


async def test_the_previous_release_serves_on_while_and_after_a_table_grows(
    application, make_tenant, release
):
    """Expand: a column, a default, an index, a table; requests never see more than a short wait."""
    tenants = [await make_tenant() for _ in range(6)]
    stop = asyncio.Event()
    answers = []

    async def call(tenant):
        async with connect(application, "http://localhost/api/v1", tenant) as client:
            while not stop.is_set():
                written = await client.post("/notes", json={"body": "while it grows"})
                read = await client.get(f"/notes/{written.json().get('id', 'x')}")
                answers.extend([written.status_code, read.status_code])

    callers = [asyncio.create_task(call(tenant)) for tenant in tenants]
    await asyncio.sleep(0.3)
    release(
        "op.add_column('sample_notes', sa.Column('mood', sa.Text()))",
        "op.alter_column('sample_notes', 'mood', server_default='calm')",
        "op.create_index('sample_notes_mood_idx', 'sample_notes', ['mood'])",
        "op.execute('CREATE TABLE sample_more (id uuid CONSTRAINT sample_more_pkey PRIMARY KEY)')",
        "op.alter_column('sample_notes', 'body', nullable=True)",
    )
    scope = Scope([tenant.slug for tenant in tenants], ["sample"])

    rollout = await start_rollout(scope, Options(), lambda _event: None, by=TESTER)
    during = len(answers)
    await asyncio.sleep(0.3)
    stop.set()
    await asyncio.gather(*callers)

    assert (rollout.status, rollout.migrated) == ("completed", 6)
    assert during > 12
    assert len(answers) > during
    assert set(answers) == {201, 200}
    # Other tests' rollouts know nothing of the newer release.
    async with owner_connection() as connection:
        for tenant in tenants:
            schema = tenant.ref.schema
            await connection.execute(
                text(
                    f"UPDATE {schema}.alembic_version SET version_num = 'sample_0001' "
                    "WHERE version_num LIKE 'sample%'"
                )
            )
        await connection.execute(
            text(
                "UPDATE tenantry.tenant_stamps SET revision = 'sample_0001' WHERE module = 'sample'"
            )
        )
        await connection.commit()
