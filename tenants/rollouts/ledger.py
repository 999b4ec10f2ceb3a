"""The rows of rollouts: begun, kept up while they run, ended, looked up.

Only one rollout runs at a time. Whoever carries it out holds a lease, which it renews with what it
has done since; a runner that died stops renewing, and the next one that comes calls its run
interrupted. What is renewed counts by the database's clock.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest, Now
from django.utils import timezone

from tenants import audit, errors
from tenants.actor import Actor
from tenants.apps import get_settings
from tenants.ids import find_id, new_id, show_id
from tenants.lifecycle.registry import in_registry
from tenants.models import Rollout, RolloutAttempt, RolloutStatus

ROLLOUT_PREFIX = "roll"
# From which of them a run can be taken up again.
RESUMABLE = frozenset(
    {
        RolloutStatus.PAUSED,
        RolloutStatus.FAILED,
        RolloutStatus.CANCELLED,
        RolloutStatus.INTERRUPTED,
    }
)


_KEEP_UP = """
WITH written AS (
    INSERT INTO tenants_rolloutattempt (rollout_id, tenant_id, slug, succeeded, revisions, error,
                                        tries, milliseconds, at)
    SELECT %s, a.* FROM jsonb_to_recordset(%s) AS a (
        tenant_id uuid, slug text, succeeded boolean, revisions jsonb, error text, tries smallint,
        milliseconds float8, at timestamptz)
    ON CONFLICT (rollout_id, tenant_id, at) DO NOTHING
    RETURNING tenant_id, succeeded
), carried AS (
    -- Once each: those that a server's death took back are carried again.
    SELECT DISTINCT tenant_id FROM written WHERE succeeded AND NOT EXISTS (
        SELECT FROM tenants_rolloutattempt earlier WHERE earlier.rollout_id = %s
        AND earlier.tenant_id = written.tenant_id AND earlier.succeeded)
)
UPDATE tenants_rollout SET
    migrated = migrated + (SELECT count(*) FROM carried),
    failed = failed + (SELECT count(*) FROM written WHERE NOT succeeded),
    lease_ends_at = now() + make_interval(secs => %s)
WHERE id = %s AND runner = %s AND status = 'running'
RETURNING cancel_requested
"""


class LeaseLost(Exception):
    """Another runner has taken over, or the registry hasn't answered for as long as a lease."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to carry a rollout out. runner: which of all runners, ever, holds it."""

    rollout_id: UUID
    runner: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """How it went for one schema; fields as `RolloutAttempt` has them."""

    tenant_id: UUID
    slug: str
    succeeded: bool
    milliseconds: float
    revisions: Mapping[str, str | None] = field(default_factory=dict)
    error: str = ""
    tries: int = 1
    at: datetime = field(default_factory=timezone.now)

    @property
    def name(self) -> str:
        return self.slug or f"t_{self.tenant_id.hex}"


@in_registry
def begin_rollout(values: Mapping[str, Any], by: Actor) -> tuple[Rollout, Lease]:
    """A new rollout that the caller carries out. values: columns of `Rollout`.

    Raises RolloutRunning (409).
    """
    rollout = Rollout(**values, started_by=f"{by.kind} {by.name}")
    lease = _take(rollout)
    audit.record(by, "rollout.started", None, show_rollout_id(rollout.id), targets=rollout.targets)
    return rollout, lease


@in_registry
def resume_rollout(reference: str, by: Actor) -> tuple[Rollout, Lease]:
    """A rollout that had stopped, for the caller to carry on.

    Raises RolloutNotFound (404), RolloutRunning, WrongState (409).
    """
    _mark_interrupted()
    rollout = _find(reference)
    if rollout.status == RolloutStatus.RUNNING:
        raise errors.RolloutRunning(_describe_running(rollout))
    if rollout.status not in RESUMABLE:
        raise errors.WrongState(f"The rollout `{reference}` is {rollout.status}.")
    lease = _take(rollout)
    audit.record(by, "rollout.resumed", None, reference)
    return rollout, lease


@in_registry
def keep_up(lease: Lease, attempts: Sequence[Attempt]) -> bool:
    """Write down what was done, and hold the lease for another while.

    An attempt that was written down already, by a call that was cut off, counts once.
    Returns whether somebody wants the rollout to stop. Raises LeaseLost.
    """
    rows = orjson.dumps([asdict(attempt) for attempt in attempts]).decode()
    seconds = get_settings().rollout_lease_seconds
    with connection.cursor() as cursor:
        run = lease.rollout_id
        cursor.execute(_KEEP_UP, [run, rows, run, seconds, run, lease.runner])
        row = cursor.fetchone()
    if row is None:
        raise LeaseLost
    return bool(row[0])


@in_registry
def note_plan(lease: Lease, behind: int, failed: int) -> None:
    """Write down how many schemas are behind, as a run begins or goes on.

    Of those that were planned before, whoever is not behind any more was carried, also where the
    runner died before it had written it down. failed: how many of those that are behind have
    failed, and aren't tried again. Raises LeaseLost.
    """
    done = Greatest(F("planned") - behind, 0)
    total = Greatest(F("planned"), behind)
    if not _held(lease).update(migrated=done, planned=total, failed=failed):
        raise LeaseLost


@in_registry
def end_rollout(lease: Lease, status: RolloutStatus, note: str = "") -> Rollout:
    """Give the lease back. Raises LeaseLost."""
    finished = None if status == RolloutStatus.PAUSED else Now()
    if not _held(lease).update(
        status=status, note=note, finished_at=finished, runner="", lease_ends_at=None
    ):
        raise LeaseLost
    return Rollout.objects.get(pk=lease.rollout_id)


@in_registry
def cancel_rollout(reference: str, *, by: Actor) -> Rollout:
    """Have a rollout stop: one that runs, as soon as what is under way is done.

    Raises RolloutNotFound (404), WrongState (409) for one that has ended.
    """
    _mark_interrupted()
    rollout = _find(reference)
    if rollout.status == RolloutStatus.RUNNING:
        Rollout.objects.filter(pk=rollout.pk).update(cancel_requested=True)
    elif rollout.status in {RolloutStatus.PAUSED, RolloutStatus.INTERRUPTED}:
        rollout.status, rollout.finished_at = RolloutStatus.CANCELLED, timezone.now()
        rollout.save(update_fields=["status", "finished_at"])
    else:
        raise errors.WrongState(f"The rollout `{reference}` is {rollout.status}.")
    audit.record(by, "rollout.cancelled", None, reference)
    return Rollout.objects.get(pk=rollout.pk)


@in_registry
def get_rollout(reference: str) -> Rollout:
    """Raises RolloutNotFound (404)."""
    _mark_interrupted()
    return _find(reference)


@in_registry
def list_rollouts(*, after: UUID | None = None, limit: int = 20) -> list[Rollout]:
    """The newest first."""
    _mark_interrupted()
    rows = Rollout.objects.order_by("-id")
    return list((rows if after is None else rows.filter(id__lt=after))[:limit])


@in_registry
def list_attempts(
    reference: str,
    *,
    succeeded: bool | None = None,
    after: int | None = None,
    limit: int = 1000,
) -> list[RolloutAttempt]:
    """A rollout's attempts in their order. Raises RolloutNotFound (404)."""
    rows = _find(reference).attempts.order_by("id")
    if succeeded is not None:
        rows = rows.filter(succeeded=succeeded)
    return list((rows if after is None else rows.filter(id__gt=after))[:limit])


@in_registry
def list_failed(rollout_id: UUID) -> set[UUID]:
    """The schemas whose last attempt in a rollout has failed."""
    rows = RolloutAttempt.objects.filter(rollout_id=rollout_id).order_by("id")
    last = dict(rows.values_list("tenant_id", "succeeded"))
    return {tenant_id for tenant_id, succeeded in last.items() if not succeeded}


def show_rollout_id(rollout_id: UUID) -> str:
    return show_id(ROLLOUT_PREFIX, rollout_id)


def _take(rollout: Rollout) -> Lease:
    """Make a rollout the one that runs."""
    _mark_interrupted()
    runner = f"{socket.gethostname()}:{os.getpid()}:{new_id().hex}"
    rollout.status, rollout.runner = RolloutStatus.RUNNING, runner
    rollout.cancel_requested, rollout.note, rollout.finished_at = False, "", None
    try:
        with transaction.atomic():
            rollout.save()
    except IntegrityError as error:
        running = Rollout.objects.filter(status=RolloutStatus.RUNNING).first()
        raise errors.RolloutRunning(_describe_running(running)) from error
    Rollout.objects.filter(pk=rollout.pk).update(lease_ends_at=_lease_end())
    return Lease(rollout.id, runner)


def _describe_running(rollout: Rollout | None) -> str:
    if rollout is None:
        return "A rollout was running until a moment ago. Try again."
    host, pid, _ = rollout.runner.split(":")
    return (
        f"The rollout `{show_rollout_id(rollout.id)}` is running, on {host} in process {pid}. "
        "Wait for its end, or cancel it."
    )


def _mark_interrupted() -> None:
    """See to it that no dead runner counts as running."""
    Rollout.objects.filter(status=RolloutStatus.RUNNING, lease_ends_at__lt=Now()).update(
        status=RolloutStatus.INTERRUPTED,
        note="Its runner has died. Resume it to go on.",
        runner="",
        lease_ends_at=None,
    )


def _held(lease: Lease) -> Any:
    return Rollout.objects.filter(
        pk=lease.rollout_id, runner=lease.runner, status=RolloutStatus.RUNNING
    )


def _lease_end() -> Any:
    return Now() + timedelta(seconds=get_settings().rollout_lease_seconds)


def _find(reference: str) -> Rollout:
    key = find_id(ROLLOUT_PREFIX, reference)
    rollout = Rollout.objects.filter(pk=key).first() if key else None
    if rollout is None:
        raise errors.RolloutNotFound(reference)
    return rollout
