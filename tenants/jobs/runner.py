"""Keeps the jobs running in a server process, gently.

However many tenants there are, a pass over them is spread over the job's period, and only a few of
them are worked for at once.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import structlog

from tenants.apps import get_settings
from tenants.directory import Directory, get_directory
from tenants.errors import DatabaseUnavailable
from tenants.jobs import passes
from tenants.jobs.work import ModuleJob, Outcome, list_jobs, run_for

log = structlog.get_logger(__name__)

# How often a process looks whether something is due for which no other has been faster.
_LOOK_SECONDS = 5.0


async def keep_running_jobs() -> None:
    """Run the jobs of the loaded modules when they are due, until this is cancelled.

    A job whose period is 0 is turned off.
    """
    directory, gate = get_directory(), asyncio.Semaphore(get_settings().jobs_at_once)
    async with asyncio.TaskGroup() as group:
        for each in list_jobs():
            if each.job.every_seconds:
                group.create_task(_keep_running(directory, each, gate), name=f"job {each.name}")


async def _keep_running(
    directory: Directory, module_job: ModuleJob, gate: asyncio.Semaphore
) -> None:
    look_seconds = min(_LOOK_SECONDS, module_job.job.every_seconds / 4)
    is_known = False
    while True:
        rest_seconds = look_seconds
        try:
            if not is_known:
                await passes.ensure_pass(directory, module_job)
                is_known = True
            rest_seconds = min(await run_slice(directory, module_job, gate), look_seconds)
        except DatabaseUnavailable as error:
            log.warning("job.not_run", job=module_job.name, reason=repr(error.__cause__ or error))
        except Exception:  # Whatever it is, a process that gave up would leave all to the others.
            log.exception("job.not_run", job=module_job.name)
        await asyncio.sleep(rest_seconds)


async def run_slice(directory: Directory, module_job: ModuleJob, gate: asyncio.Semaphore) -> float:
    """Run a job for the next tenants of its pass, if that is due and no other process does.

    Returns in how many seconds to look again, at the latest.
    """
    claimed = await passes.claim_slice(directory, module_job)
    if claimed is None:
        return _LOOK_SECONDS
    outcome, began = Outcome(), time.monotonic()
    try:
        async with _kept(directory, claimed):
            at_once = get_settings().jobs_at_once
            await run_for(module_job, claimed.tenants, outcome, gate, at_once)
    finally:
        # Without the registry the lease ends by itself, and the slice is done again.
        with contextlib.suppress(DatabaseUnavailable):
            await passes.end_slice(directory, claimed, outcome)
    if claimed.is_last or outcome.unwell is not None:
        return _LOOK_SECONDS
    share = len(claimed.tenants) / max(claimed.total, 1)
    due_seconds = module_job.job.every_seconds * passes.SPREAD * share
    return max(due_seconds - (time.monotonic() - began), 0.0)


@contextlib.asynccontextmanager
async def _kept(directory: Directory, claimed: passes.Slice) -> AsyncIterator[None]:
    """Renew a lease while the block runs."""

    async def renew() -> None:
        while True:
            await asyncio.sleep(passes.LEASE_SECONDS / 3)
            # Without the registry it may end: then another process repeats what this one does.
            with contextlib.suppress(DatabaseUnavailable):
                await passes.renew_lease(directory, claimed)

    renewing = asyncio.create_task(renew())
    try:
        yield
    finally:
        renewing.cancel()
