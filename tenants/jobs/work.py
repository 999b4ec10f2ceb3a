"""Running one job for many tenants, past those for which it fails."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from tenants.errors import ApplicationError, ConnectionLost, DatabaseUnavailable, PoolExhausted
from tenants.module import Job
from tenants.modules import get_modules
from tenants.tenant import TenantRef

log = structlog.get_logger(__name__)

# After this time a job's run for a tenant is cut off, so that none holds the others up for ever.
_TENANT_SECONDS = 60.0
# What is wrong with the database or its pool, and not with a tenant. Their subclasses are about
# a tenant: a lock that somebody holds, a schema that is gone.
_UNWELL = frozenset({DatabaseUnavailable, ConnectionLost, PoolExhausted})


@dataclass(frozen=True, slots=True)
class ModuleJob:
    """A job and the module that it is of."""

    module: str
    job: Job

    @property
    def name(self) -> str:
        return f"{self.module}.{self.job.name}"


@dataclass(slots=True)
class Outcome:
    """What became of it. done: tenants that were seen to, counted without gaps from the first.

    dealt_with: what the job returned, in sum. failures: why it failed, by the tenant's slug.
    unwell: what stopped it before the last tenant.
    """

    done: int = 0
    dealt_with: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    unwell: ApplicationError | None = None


def list_jobs() -> list[ModuleJob]:
    """Every job of every loaded module, those too that are turned off."""
    return [ModuleJob(module.name, job) for module in get_modules() for job in module.jobs]


async def run_for(
    module_job: ModuleJob,
    tenants: Sequence[TenantRef],
    outcome: Outcome,
    gate: asyncio.Semaphore,
    at_once: int,
) -> None:
    """Run a job for tenants in this order, for so many of them at once.

    A failure is logged and counted, and the others go on. If it is the database that fails, no
    other tenant is begun.
    outcome: kept up as it goes, so that it holds when this is cancelled.
    gate: lets through whoever may work for a tenant, of all jobs together.
    """
    finished: set[int] = set()
    waiting = enumerate(tenants)

    async def work() -> None:
        while True:
            async with gate:
                index, tenant = next(waiting, (0, None))
                if tenant is None or outcome.unwell is not None:
                    return
                await _run(module_job, tenant, outcome)
            finished.add(index)
            while outcome.done in finished:
                outcome.done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())


async def _run(module_job: ModuleJob, tenant: TenantRef, outcome: Outcome) -> None:
    try:
        async with asyncio.timeout(_TENANT_SECONDS):
            dealt_with = await module_job.job.run(tenant)
        outcome.dealt_with += dealt_with
    except Exception as error:  # Whatever it is, it is this tenant's, and others wait.
        reason = str(error.__cause__ or error) or repr(error)
        log.warning("job.failed", job=module_job.name, tenant=tenant.slug, reason=reason)
        outcome.failures[tenant.slug] = str(error) or repr(error)
        if isinstance(error, ApplicationError) and type(error) in _UNWELL:
            outcome.unwell = error
