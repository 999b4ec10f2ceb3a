"""Running jobs at once and to the end, whatever the runners do."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from tenants import errors
from tenants.apps import get_settings
from tenants.directory import Directory
from tenants.jobs import passes
from tenants.jobs.work import ModuleJob, Outcome, list_jobs, run_for
from tenants.lifecycle.registry import find_tenant, in_registry
from tenants.models import TenantStatus
from tenants.modules import get_module
from tenants.tenant import TenantRef

_PAGE = 1000
_AT_ONCE = 2


@dataclass(slots=True)
class Report:
    """How a job went. tenants: how many it was run for. failures: reasons by slug."""

    module: str
    job: str
    tenants: int
    dealt_with: int
    failures: dict[str, str]


async def run_jobs(
    module: str | None = None, job: str | None = None, slug: str | None = None
) -> list[Report]:
    """Run jobs for every active tenant that has their modules, or for one, past those that fail.

    module, job: names, to run no others. Those that are turned off are run, too. Runners are not
    asked: a job may run for a tenant twice at once. A run for all tenants counts as a pass.
    Raises TenantNotFound (404), WrongState (409) for a tenant that is not active or has not got
    the module, InvalidInput (422) for a name that nothing has, and DatabaseUnavailable (503).
    """
    chosen = _choose(module, job)
    only = await _find_active(slug) if slug is not None else None
    if only is not None and module is not None and module not in only.modules:
        raise errors.WrongState(f"The tenant `{only.slug}` has not got the module `{module}`.")
    directory, gate = Directory(get_settings()), asyncio.Semaphore(_AT_ONCE)
    try:
        return [
            await _run(directory, each, only, gate)
            for each in chosen
            if only is None or each.module in only.modules
        ]
    finally:
        await directory.stop()


def _choose(module: str | None, job: str | None) -> list[ModuleJob]:
    if module is not None:
        get_module(module)
    jobs = [each for each in list_jobs() if module in {None, each.module}]
    chosen = [each for each in jobs if job in {None, each.job.name}]
    if job is not None and not chosen:
        known = ", ".join(each.job.name for each in jobs) or "none"
        raise errors.InvalidInput(f"There is no job `{job}`. There are: {known}.")
    return chosen


async def _run(
    directory: Directory, module_job: ModuleJob, only: TenantRef | None, gate: asyncio.Semaphore
) -> Report:
    whole, began = Outcome(), time.monotonic()
    async for tenants in _list_pages(directory, module_job.module, only):
        outcome = Outcome()
        await run_for(module_job, tenants, outcome, gate, _AT_ONCE)
        if outcome.unwell is not None:
            raise outcome.unwell
        whole.done += outcome.done
        whole.dealt_with += outcome.dealt_with
        whole.failures |= outcome.failures
    if only is None:
        await passes.record_pass(directory, module_job, whole, time.monotonic() - began)
    return Report(
        module_job.module, module_job.job.name, whole.done, whole.dealt_with, whole.failures
    )


async def _list_pages(
    directory: Directory, module: str, only: TenantRef | None
) -> AsyncIterator[list[TenantRef]]:
    if only is not None:
        yield [only]
        return
    after: UUID | None = None
    while tenants := await passes.list_members(directory, module, after, _PAGE):
        yield tenants
        after = tenants[-1].id


@in_registry
def _find_active(slug: str) -> TenantRef:
    return find_tenant(slug, {TenantStatus.ACTIVE}).ref
