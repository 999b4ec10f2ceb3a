"""Checks of the modules' jobs: whether anybody runs them, and whether they go well."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from tenants.doctor.finding import Finding, count, ok, warning
from tenants.jobs.work import ModuleJob, list_jobs
from tenants.lifecycle.registry import in_registry
from tenants.models import JobPass, Tenant, TenantStatus

# A pass takes nine tenths of the period; after so many of them something is wrong.
_LATE_PERIODS = 3
# And a restart of the servers is nothing.
_LATE_SECONDS = 60.0
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


async def check_jobs(tenants: Collection[Tenant]) -> list[Finding]:
    """tenants: all that are in the registry."""
    return judge_jobs(list_jobs(), await _read_passes(), tenants)


def judge_jobs(
    jobs: Sequence[ModuleJob], passes: Mapping[str, JobPass], tenants: Collection[Tenant]
) -> list[Finding]:
    """passes: the last one of each job, by its name."""
    running = [each for each in jobs if each.job.every_seconds]
    now = datetime.now(UTC)
    late = [found for each in running if (found := _describe_late(each, passes, tenants, now))]
    failing = [
        f"{name} for {count(passes[name].failed, 'tenant')}"
        for name in (each.name for each in running)
        if name in passes and passes[name].failed
    ]
    findings = []
    if late:
        findings.append(
            warning(
                "jobs",
                f"Late: {'; '.join(late)}",
                "See that a server runs with TENANTRY_JOBS_AT_ONCE above 0, and what its log says "
                "of job.not_run; or have `manage.py run_jobs` run regularly.",
            )
        )
    if failing:
        findings.append(
            warning(
                "jobs",
                f"Failed when last run: {'; '.join(failing)}",
                "See why, in the log under job.failed or with: manage.py run_jobs --job JOB",
            )
        )
    return findings or [ok("jobs", f"{count(len(running), 'job')}, none of them late.")]


def _describe_late(
    module_job: ModuleJob,
    passes: Mapping[str, JobPass],
    tenants: Collection[Tenant],
    now: datetime,
) -> str | None:
    """How late it is, None if it isn't. One that was never run is late by its oldest tenant."""
    last = passes.get(module_job.name)
    has_run = last is not None and last.began_at.timestamp() > 0
    since = last.began_at if last and has_run else _find_first(tenants, module_job.module)
    every_seconds = module_job.job.every_seconds
    after = timedelta(seconds=max(every_seconds * _LATE_PERIODS, _LATE_SECONDS))
    if since is None or now - since <= after:
        return None
    period = f"due every {_show_span(every_seconds)}"
    if last is None or not has_run:
        return f"{module_job.name}, {period}, was never run"
    ago = _show_span((now - since).total_seconds())
    if last.ended_at is None:
        progress = f"{last.done:,} of {count(last.total, 'tenant')}"
        return f"{module_job.name}, {period}, has come to {progress} since it began {ago} ago"
    return f"{module_job.name}, {period}, was last begun {ago} ago"


def _find_first(tenants: Collection[Tenant], module: str) -> datetime | None:
    """Since when the module has a tenant that jobs are run for."""
    return min(
        (
            tenant.created_at
            for tenant in tenants
            if tenant.status == TenantStatus.ACTIVE and module in tenant.modules
        ),
        default=None,
    )


def _show_span(seconds: float) -> str:
    """In the largest unit of which there are two or more: `90 minutes`, `3 hours`."""
    for size, unit in _UNITS:
        if seconds >= 2 * size:
            return count(int(seconds // size), unit)
    return f"{seconds:g} s"


@in_registry
def _read_passes() -> dict[str, JobPass]:
    return {each.name: each for each in JobPass.objects.all()}
