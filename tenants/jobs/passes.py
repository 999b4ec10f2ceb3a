"""Passes of jobs over the tenants: whose turn it is, how far it has come, and who comes next.

A pass goes by slices. Whoever wants to work at one takes a lease, in one statement on the job's
row, so that this works through a transaction pooler and however many processes there are; a lease
that isn't renewed ends, and the next one takes the slice up. The registry's clock decides.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text

from tenants.directory import Directory
from tenants.ids import new_id
from tenants.jobs.work import ModuleJob, Outcome
from tenants.tenant import TenantRef

LEASE_SECONDS = 30.0
# A pass takes this part of the job's period, so that the next one isn't late.
SPREAD = 0.9
_SLICE = 50
_FIRST = UUID(int=0)

_MEMBERS = "FROM tenants_tenant WHERE status = 'active' AND CAST(:module AS text) = ANY(modules)"
_ENSURE = text(
    "INSERT INTO tenants_jobpass "
    "(name, position, total, done, failed, dealt_with, began_at, ended_at) "
    "VALUES (:name, :first, 0, 0, 0, 0, 'epoch', 'epoch') ON CONFLICT (name) DO NOTHING"
)
# A pass that has ended begins anew after the period, and one that is under way goes on when the
# share of the period has gone by which is the share of tenants that it has seen.
_CLAIM = text(
    f"""
    UPDATE tenants_jobpass SET
        holder = :holder,
        held_until = now() + make_interval(secs => :lease),
        position = CASE WHEN ended_at IS NULL THEN position ELSE CAST(:first AS uuid) END,
        total = CASE WHEN ended_at IS NULL THEN total ELSE (SELECT count(*) {_MEMBERS}) END,
        done = CASE WHEN ended_at IS NULL THEN done ELSE 0 END,
        failed = CASE WHEN ended_at IS NULL THEN failed ELSE 0 END,
        dealt_with = CASE WHEN ended_at IS NULL THEN dealt_with ELSE 0 END,
        began_at = CASE WHEN ended_at IS NULL THEN began_at ELSE now() END,
        ended_at = NULL
    WHERE name = :name AND (held_until IS NULL OR held_until < now())
        AND began_at + make_interval(secs => CAST(:every AS float8) * CASE
            WHEN ended_at IS NULL THEN CAST(:spread AS float8) * done / greatest(total, done, 1)
            ELSE 1 END) <= now()
    RETURNING position, total
    """  # noqa: S608
)
_RENEW = text(
    "UPDATE tenants_jobpass SET held_until = now() + make_interval(secs => :lease) "
    "WHERE name = :name AND holder = :holder"
)
_END = text(
    "UPDATE tenants_jobpass SET holder = NULL, held_until = NULL, position = :position, "
    "done = done + :done, failed = failed + :failed, dealt_with = dealt_with + :dealt_with, "
    "ended_at = CASE WHEN CAST(:is_last AS boolean) THEN now() END "
    "WHERE name = :name AND holder = :holder"
)
_RECORD = text(
    "INSERT INTO tenants_jobpass AS known "
    "(name, position, total, done, failed, dealt_with, began_at, ended_at) VALUES "
    "(:name, :first, :done, :done, :failed, :dealt_with, "
    "now() - make_interval(secs => :seconds), now()) "
    "ON CONFLICT (name) DO UPDATE SET holder = NULL, held_until = NULL, "
    "position = excluded.position, total = excluded.total, done = excluded.done, "
    "failed = excluded.failed, dealt_with = excluded.dealt_with, "
    "began_at = excluded.began_at, ended_at = excluded.ended_at "
    "WHERE known.held_until IS NULL OR known.held_until < now()"
)
_LIST = text(
    f"SELECT id, slug, modules, database {_MEMBERS} AND id > :after ORDER BY id LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class Slice:
    """A lease on some tenants of a pass. after: the last one before them.

    total: how many the pass has. is_last: whether no others come after them.
    """

    name: str
    holder: UUID
    after: UUID
    tenants: list[TenantRef]
    total: int
    is_last: bool


async def ensure_pass(directory: Directory, module_job: ModuleJob) -> None:
    """Have the job's row, as if a pass had ended long ago."""
    await directory.fetch_all(_ENSURE, name=module_job.name, first=_FIRST)


async def claim_slice(directory: Directory, module_job: ModuleJob) -> Slice | None:
    """The next slice of the job, for the caller alone, if one is due and nobody works at one."""
    holder = new_id()
    rows = await directory.fetch_all(
        _CLAIM,
        name=module_job.name,
        module=module_job.module,
        holder=holder,
        first=_FIRST,
        lease=LEASE_SECONDS,
        every=module_job.job.every_seconds,
        spread=SPREAD,
    )
    if not rows:
        return None
    after = UUID(int=rows[0].position.int)
    tenants = await list_members(directory, module_job.module, after, _SLICE)
    is_last = len(tenants) < _SLICE
    return Slice(module_job.name, holder, after, tenants, rows[0].total, is_last)


async def renew_lease(directory: Directory, claimed: Slice) -> None:
    await directory.fetch_all(_RENEW, name=claimed.name, holder=claimed.holder, lease=LEASE_SECONDS)


async def end_slice(directory: Directory, claimed: Slice, outcome: Outcome) -> None:
    """Write down how far it has come, and let others go on from there."""
    is_whole = outcome.done == len(claimed.tenants)
    await directory.fetch_all(
        _END,
        name=claimed.name,
        holder=claimed.holder,
        position=claimed.tenants[outcome.done - 1].id if outcome.done else claimed.after,
        done=outcome.done,
        failed=len(outcome.failures),
        dealt_with=outcome.dealt_with,
        is_last=claimed.is_last and is_whole,
    )


async def record_pass(
    directory: Directory, module_job: ModuleJob, outcome: Outcome, seconds: float
) -> None:
    """Write down a pass that was made without leases, unless somebody works at one now.

    seconds: how long it took.
    """
    await directory.fetch_all(
        _RECORD,
        name=module_job.name,
        first=_FIRST,
        done=outcome.done,
        failed=len(outcome.failures),
        dealt_with=outcome.dealt_with,
        seconds=seconds,
    )


async def list_members(
    directory: Directory, module: str, after: UUID | None, limit: int
) -> list[TenantRef]:
    """Active tenants that have the module, by id, beyond one."""
    rows = await directory.fetch_all(_LIST, module=module, after=after or _FIRST, limit=limit)
    return [
        TenantRef(UUID(int=row.id.int), row.slug, frozenset(row.modules), row.database)
        for row in rows
    ]
