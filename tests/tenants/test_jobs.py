"""Modules' jobs: each tenant once in a period, by one process, past whatever fails."""

import asyncio
import contextlib
import secrets
import signal
import time
from datetime import timedelta

import httpx
import pytest

from tenants import lifecycle
from tenants.apps import get_settings
from tenants.directory import get_directory
from tenants.errors import (
    DatabaseUnavailable,
    LockTimeout,
    PoolExhausted,
    TenantUnavailable,
    TransactionConflict,
)
from tenants.jobs import once as once_
from tenants.jobs import passes, runner, work
from tenants.jobs.work import ModuleJob
from tenants.management.output import CONFLICT, FAILED, MISSING, USAGE
from tenants.models import JobPass, Tenant
from tenants.module import Job
from tenants.modules import get_modules
from tenants.testing import API, TESTER
from tests.project.processes import running_serve
from tests.tenants.test_commands import plain_streams, run  # noqa: F401  # Fixtures.

HOUR = 3600.0


class Stub:
    """A job of a made-up module that notes whom it was run for.

    does: by slug, what it does instead of nothing.
    """

    def __init__(self, every_seconds):
        module = f"jobs_{secrets.token_hex(4)}"
        self.module_job = ModuleJob(module, Job(name="j", every_seconds=every_seconds, run=self))
        self.seen = []
        self.does = {}
        self.running = self.most = 0

    async def __call__(self, tenant):
        self.seen.append(tenant.slug)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0)
            if tenant.slug in self.does:
                await self.does[tenant.slug]()
            return 2
        finally:
            self.running -= 1

    async def run_slice(self, at_once=2):
        return await runner.run_slice(get_directory(), self.module_job, asyncio.Semaphore(at_once))

    async def get_pass(self):
        return await JobPass.objects.aget(name=self.module_job.name)

    async def turn_back(self, **ago):
        """Let it be as if the pass had begun so long ago, and every lease had ended."""
        row = await self.get_pass()
        row.began_at -= timedelta(**ago)
        row.held_until = None
        await row.asave()


def failing(error):
    async def fail():
        raise error

    return fail


@pytest.fixture(autouse=True)
def several_at_once(monkeypatch):
    monkeypatch.setattr(get_settings(), "jobs_at_once", 2)


@pytest.fixture
async def stub(application):
    stub = Stub(HOUR)
    await passes.ensure_pass(get_directory(), stub.module_job)
    return stub


@pytest.fixture
async def members(stub, make_tenant):
    """Seven tenants with the made-up module, by their ids; slices have three of them."""
    made = [await make_tenant(modules=[]) for _ in range(7)]
    await give(stub, *made)
    return [tenant.slug for tenant in sorted(made, key=lambda tenant: tenant.ref.id)]


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(passes, "_SLICE", 3)


async def give(stub, *tenants):
    ids = [tenant.ref.id for tenant in tenants]
    rows = Tenant.objects.filter(id__in=ids)
    await rows.aupdate(modules=[stub.module_job.module])


class TestPasses:
    async def test_a_pass_sees_to_each_tenant_once_in_the_order_of_their_ids(self, stub, members):
        for _ in range(3):
            await stub.run_slice(at_once=1)
            await stub.turn_back(hours=1)

        assert stub.seen == members
        row = await stub.get_pass()
        assert (row.total, row.done, row.failed, row.dealt_with) == (7, 7, 0, 14)
        assert row.ended_at is not None
        assert row.holder is row.held_until is None

    async def test_only_active_tenants_that_have_the_module(self, stub, members, make_tenant):
        await make_tenant()
        await lifecycle.suspend_tenant(members[0], by=TESTER)

        await stub.run_slice()

        assert stub.seen == members[1:4]
        assert (await stub.get_pass()).total == 6

    async def test_it_is_spread_over_the_period(self, stub, members):
        rest_seconds = await stub.run_slice()

        assert rest_seconds == pytest.approx(HOUR * 0.9 * 3 / 7, abs=10)
        await stub.run_slice()
        assert len(stub.seen) == 3  # The next slice is not due.
        await stub.turn_back(seconds=HOUR * 0.9 * 3 / 7 - 20)
        await stub.run_slice()
        assert len(stub.seen) == 3
        await stub.turn_back(seconds=20)
        await stub.run_slice()
        assert len(stub.seen) == 6

    async def test_the_next_pass_begins_after_the_period(self, stub, members):
        for _ in range(3):
            await stub.run_slice()
            await stub.turn_back(minutes=18.1)
        await stub.run_slice()
        assert len(stub.seen) == 7  # 54 minutes have gone by.

        await stub.turn_back(minutes=6)
        await stub.run_slice()
        assert sorted(stub.seen[7:]) == sorted(members[:3])
        row = await stub.get_pass()
        assert (row.done, row.dealt_with, row.ended_at) == (3, 6, None)

    async def test_without_tenants_a_pass_is_over_at_once(self, stub):
        await stub.run_slice()

        row = await stub.get_pass()
        assert (row.total, row.done, row.ended_at is None) == (0, 0, False)

    async def test_a_tenant_that_is_deleted_in_mid_pass_is_passed_over(self, stub, members):
        await stub.run_slice()
        for slug in members[2:4]:
            await Tenant.objects.filter(slug=slug).aupdate(modules=[])
        await stub.turn_back(hours=1)
        await stub.run_slice()

        assert sorted(stub.seen) == sorted([*members[:3], *members[4:]])


class TestProcesses:
    async def test_of_many_one_works_at_a_job(self, stub, members):
        await asyncio.gather(*(stub.run_slice() for _ in range(10)))

        assert sorted(stub.seen) == sorted(members[:3])

    async def test_while_one_works_no_other_does(self, stub, members):
        reached, go_on = asyncio.Event(), asyncio.Event()

        async def stall():
            reached.set()
            await go_on.wait()

        stub.does[members[0]] = stall
        first = asyncio.create_task(stub.run_slice())
        await asyncio.wait_for(reached.wait(), 5)
        await stub.run_slice()
        go_on.set()
        await first

        assert sorted(stub.seen) == sorted(members[:3])

    async def test_a_slice_of_one_that_was_killed_is_taken_up_when_its_lease_ends(
        self, stub, members, monkeypatch
    ):
        monkeypatch.setattr(passes, "LEASE_SECONDS", 0.3)
        killed = await passes.claim_slice(get_directory(), stub.module_job)
        assert [tenant.slug for tenant in killed.tenants] == members[:3]

        await stub.run_slice()
        assert stub.seen == []
        await asyncio.sleep(0.35)
        await stub.run_slice()
        assert sorted(stub.seen) == sorted(members[:3])
        # Should it only have been frozen, it has no say any more.
        await passes.end_slice(get_directory(), killed, work.Outcome(done=3, dealt_with=9))
        assert (await stub.get_pass()).done == 3

    async def test_a_lease_is_renewed_as_long_as_its_holder_works(self, stub, members, monkeypatch):
        monkeypatch.setattr(passes, "LEASE_SECONDS", 0.3)
        stub.does[members[1]] = lambda: asyncio.sleep(1)
        first = asyncio.create_task(stub.run_slice())
        while not first.done():
            await asyncio.sleep(0.1)
            await stub.run_slice()

        assert sorted(stub.seen) == sorted(members[:3])

    async def test_so_many_are_worked_for_at_once_and_no_more(self, stub, members, monkeypatch):
        monkeypatch.setattr(passes, "_SLICE", 7)
        for slug in members:
            stub.does[slug] = lambda: asyncio.sleep(0.01)
        await stub.run_slice()

        assert (stub.most, len(stub.seen)) == (2, 7)

    async def test_jobs_of_a_process_share_what_it_may_do_at_once(self, stub, members):
        gate = asyncio.Semaphore(1)
        other = Stub(HOUR)
        tenants = await passes.list_members(get_directory(), stub.module_job.module, None, 7)
        running = [0, 0]

        async def note():
            running[0] += 1
            running[1] = max(running)
            await asyncio.sleep(0.01)
            running[0] -= 1

        stub.does = other.does = dict.fromkeys(members, note)
        await asyncio.gather(
            *(
                work.run_for(each.module_job, tenants, work.Outcome(), gate, 2)
                for each in (stub, other)
            )
        )

        assert running == [0, 1]
        assert len(stub.seen) == len(other.seen) == 7

    async def test_one_that_is_stopped_leaves_the_rest_to_the_others_at_once(self, stub, members):
        reached = asyncio.Event()

        async def stall():
            reached.set()
            await asyncio.Event().wait()

        stub.does[members[1]] = stall
        task = asyncio.create_task(stub.run_slice(at_once=1))
        await asyncio.wait_for(reached.wait(), 5)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

        row = await stub.get_pass()
        assert (row.done, row.held_until) == (1, None)
        stub.does.clear()
        await stub.turn_back(hours=1)
        await stub.run_slice(at_once=1)
        assert stub.seen == [*members[:2], *members[1:4]]


class TestFailures:
    @pytest.mark.parametrize(
        "error",
        [
            RuntimeError("broken"),
            LockTimeout(),
            TransactionConflict(),
            TenantUnavailable(),
            KeyError("x"),
        ],
        ids=repr,
    )
    async def test_a_tenant_that_fails_keeps_no_other_from_it(self, stub, members, error, logged):
        stub.does[members[0]] = failing(error)

        await stub.run_slice()

        assert sorted(stub.seen) == sorted(members[:3])
        row = await stub.get_pass()
        assert (row.done, row.failed, row.dealt_with) == (3, 1, 4)
        (entry,) = [each for each in logged if each["event"] == "job.failed"]
        assert (entry["job"], entry["tenant"]) == (stub.module_job.name, members[0])
        assert entry["reason"]

    async def test_a_tenant_that_takes_too_long_is_cut_off(self, stub, members, monkeypatch):
        monkeypatch.setattr(work, "_TENANT_SECONDS", 0.05)
        stub.does[members[0]] = lambda: asyncio.sleep(60)

        await asyncio.wait_for(stub.run_slice(), 5)

        row = await stub.get_pass()
        assert (row.done, row.failed) == (3, 1)

    @pytest.mark.parametrize("error", [DatabaseUnavailable(), PoolExhausted()], ids=repr)
    async def test_a_database_that_fails_stops_the_slice_and_not_the_pass(
        self, stub, members, error
    ):
        stub.does[members[0]] = failing(error)

        assert await stub.run_slice(at_once=1) == runner._LOOK_SECONDS
        assert stub.seen == members[:1]
        await stub.turn_back(hours=1)
        await stub.run_slice(at_once=1)
        assert stub.seen == members[:4]

    async def test_without_the_registry_a_runner_goes_on_asking(self, stub, members, monkeypatch):
        asked = []

        async def claim(*arguments):
            asked.append(arguments)
            if len(asked) < 3:
                raise DatabaseUnavailable
            return await original(*arguments)

        original = passes.claim_slice
        monkeypatch.setattr(passes, "claim_slice", claim)
        monkeypatch.setattr(runner, "_LOOK_SECONDS", 0.01)
        monkeypatch.setattr(runner, "list_jobs", lambda: [stub.module_job])
        async with running():
            await until(lambda: len(stub.seen) == 3)


@contextlib.asynccontextmanager
async def running():
    task = asyncio.create_task(runner.keep_running_jobs())
    try:
        yield task
    finally:
        assert not task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        assert task.cancelled()


async def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


class TestRunning:
    async def test_a_job_runs_again_and_again_and_one_that_is_off_never(
        self, make_tenant, monkeypatch
    ):
        often, never = Stub(0.2), Stub(0)
        tenant = await make_tenant(modules=[])
        modules = [each.module_job.module for each in (often, never)]
        await Tenant.objects.filter(id=tenant.ref.id).aupdate(modules=modules)
        monkeypatch.setattr(runner, "list_jobs", lambda: [often.module_job, never.module_job])

        async with running():
            await until(lambda: len(often.seen) >= 3)

        assert never.seen == []

    async def test_two_runners_do_no_more_than_one(self, stub, members, monkeypatch):
        monkeypatch.setattr(passes, "_SLICE", 50)
        monkeypatch.setattr(runner, "_LOOK_SECONDS", 0.02)
        monkeypatch.setattr(runner, "list_jobs", lambda: [stub.module_job])

        async with running(), running():
            await until(lambda: len(stub.seen) == 7)
            await asyncio.sleep(0.2)

        assert sorted(stub.seen) == sorted(members)

    async def test_without_jobs_there_is_nothing_to_do(self, application, monkeypatch):
        monkeypatch.setattr(runner, "list_jobs", list)

        await asyncio.wait_for(runner.keep_running_jobs(), 5)

    def test_the_modules_jobs_are_known(self):
        known = {each.name for each in work.list_jobs()}

        assert known == {
            f"{module.name}.{job.name}" for module in get_modules() for job in module.jobs
        }
        assert "conversations.expire_calls" in known


class TestCommand:
    @pytest.fixture
    async def known(self, stub, members, monkeypatch):
        """The command knows the made-up module and no other."""
        monkeypatch.setattr(once_, "list_jobs", lambda: [stub.module_job])
        monkeypatch.setattr(once_, "get_module", lambda name: name)
        monkeypatch.setattr(once_, "_PAGE", 3)
        return stub

    async def test_it_runs_a_job_for_every_tenant_at_once(self, run, known, members):  # noqa: F811
        result = await run("run_jobs", "--json")

        assert (result.code, result.err) == (0, "")
        assert result.json == [
            {
                "module": known.module_job.module,
                "job": "j",
                "tenants": 7,
                "dealt_with": 14,
                "failures": {},
            }
        ]
        assert sorted(known.seen) == sorted(members)

    async def test_it_runs_for_one_tenant(self, run, known, members):  # noqa: F811
        result = await run("run_jobs", "--tenant", members[3], "--job", "j", "--json")

        assert result.json[0]["tenants"] == 1
        assert known.seen == [members[3]]

    async def test_it_reports_each_failure_and_goes_on(self, run, known, members):  # noqa: F811
        known.does[members[2]] = failing(RuntimeError("broken"))

        people = await run("run_jobs")
        program = await run("run_jobs", "--json")

        assert people.code == program.code == FAILED
        assert f"failed: {known.module_job.name}: {members[2]}: broken\n" in people.err
        assert people.out.split()[-5:] == [known.module_job.module, "j", "7", "12", "1"]
        assert program.json[0]["failures"] == {members[2]: "broken"}

    async def test_a_run_for_all_counts_as_a_pass(self, run, known, members):  # noqa: F811
        known.does[members[2]] = failing(RuntimeError("broken"))
        await run("run_jobs", "--tenant", members[0])
        assert (await known.get_pass()).began_at.year == 1970

        await run("run_jobs")

        row = await known.get_pass()
        assert (row.total, row.done, row.failed, row.dealt_with) == (7, 7, 1, 12)
        assert row.began_at <= row.ended_at
        known.seen.clear()
        await known.run_slice()
        assert known.seen == []  # Servers have nothing to do before the period is over.

    async def test_a_run_for_all_leaves_a_pass_alone_that_somebody_works_at(
        self,
        run,  # noqa: F811
        known,
        members,
    ):
        await passes.ensure_pass(get_directory(), known.module_job)
        claimed = await passes.claim_slice(get_directory(), known.module_job)
        await run("run_jobs")
        row = await known.get_pass()
        assert (row.holder, row.done, row.ended_at) == (claimed.holder, 0, None)

        # When nobody does any more, the run has done its work.
        await known.turn_back(hours=0)
        await run("run_jobs")
        row = await known.get_pass()
        assert (row.holder, row.done, row.ended_at is None) == (None, 7, False)
        await passes.end_slice(get_directory(), claimed, work.Outcome(done=3))
        assert (await known.get_pass()).done == 7

    async def test_a_database_that_fails_ends_it(self, run, known, members):  # noqa: F811
        known.does[members[0]] = failing(DatabaseUnavailable())

        result = await run("run_jobs")

        assert result.code == FAILED
        assert "The database is not available" in result.err
        assert len(known.seen) <= 2

    async def test_what_it_is_not_meant_for_is_refused(self, run, make_tenant):  # noqa: F811
        tenant, bare = await make_tenant(), await make_tenant(modules=[])
        await lifecycle.suspend_tenant(tenant.slug, by=TESTER)
        refused = {
            ("--module", "nope"): USAGE,
            ("--job", "nope"): USAGE,
            ("--module", "sample", "--job", "expire_calls"): USAGE,
            ("--tenant", "nobody"): MISSING,
            ("--tenant", tenant.slug): CONFLICT,
            ("--tenant", bare.slug, "--module", "conversations"): CONFLICT,
        }

        for arguments, code in refused.items():
            result = await run("run_jobs", *arguments)
            assert (result.code, result.out) == (code, ""), result.err
            assert result.err.startswith("error: ")

    async def test_a_tenant_without_modules_has_no_jobs(self, run, make_tenant):  # noqa: F811
        bare = await make_tenant(modules=[])

        result = await run("run_jobs", "--tenant", bare.slug, "--json")

        assert (result.code, result.json) == (0, [])


@pytest.mark.slow
def test_a_server_runs_the_jobs_and_stops(tenant):
    call = {"call_id": "a", "name": "n", "timeout_seconds": 0.1}
    body = {"messages": [{"role": "assistant", "tool_calls": [call]}]}
    settings = {
        "TENANTRY_JOBS_AT_ONCE": "2",
        "TENANTRY_CONVERSATIONS_EXPIRE_CALLS_EVERY_SECONDS": "1",
    }
    with running_serve("--workers", "2", **settings) as service:
        url = f"{service.base_url}{API}/conversations"
        made = httpx.post(url, headers=tenant.headers, json=body).json()
        path = f"{url}/{made['id']}/tool-calls/a"
        deadline = time.monotonic() + 20
        while httpx.get(path, headers=tenant.headers).json()["status"] != "expired":
            assert time.monotonic() < deadline, service.log.read_text()
            time.sleep(0.2)
        assert service.end(signal.SIGTERM) == 0
        assert "Traceback" not in service.log.read_text()
