"""A rollout from its beginning to its end: planned, begun or taken up again, staged, ended.

Who is behind is read anew whenever a run begins, goes on or seems to be done: so a run that was cut
off goes on where it was, and a tenant that was created meanwhile ends at head too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import UUID

from tenants import errors
from tenants.actor import Actor
from tenants.apps import get_settings
from tenants.db.unit_of_work import describe_error
from tenants.lifecycle import owner_connection
from tenants.models import Rollout, RolloutStatus
from tenants.revisions import ensure_fleet_tables
from tenants.rollouts import ledger
from tenants.rollouts.events import Checked, Ended, Planned, Staged, Waiting, Watcher
from tenants.rollouts.fleet import read_fleet
from tenants.rollouts.ledger import Lease, LeaseLost, show_rollout_id
from tenants.rollouts.options import Options, Scope
from tenants.rollouts.plan import Plan, Work, choose_targets, make_plan
from tenants.rollouts.runner import Runner, Stopped
from tenants.rollouts.wire import Wire

# Rounds of reading who is behind, until nobody new is: creating goes on while a fleet is carried.
_MOST_ROUNDS = 10
# Between two looks whether another runner has come to its end.
_LOOK_AGAIN_SECONDS = 0.5

ResultT = TypeVar("ResultT")


async def plan_rollout(scope: Scope) -> Plan:
    """Who is behind, and what would be done. Changes nothing.

    Raises TenantNotFound (404), InvalidInput (422), UnknownRevision (422).
    """
    return await _plan(choose_targets(scope.modules, scope.targets), scope.tenants)


async def start_rollout(
    scope: Scope, options: Options, watch: Watcher, patience: float = 0.0, *, by: Actor
) -> Rollout:
    """Carry the fleet, or a part of it, to its targets, and return the rollout as it ended.

    watch: told of what happens. patience: seconds for which another runner is waited for.
    Raises as `plan_rollout` does, RolloutRunning (409) if another runs, and LeaseLost if another
    has taken over.
    """
    targets = choose_targets(scope.modules, scope.targets)
    _check_canary(options)
    values = {
        "targets": targets,
        "scope": {"tenants": None if scope.tenants is None else sorted(scope.tenants)},
        "options": options.as_json(),
    }

    async def begin() -> _Run:
        plan = await _plan(targets, scope.tenants)
        rollout, lease = await ledger.begin_rollout(values, by)
        return _Run(rollout, lease, options, plan)

    return await _conduct(await _patiently(begin, patience, watch), watch)


async def resume_rollout(
    reference: str, watch: Watcher, patience: float = 0.0, *, by: Actor
) -> Rollout:
    """Carry on a rollout that was paused, cancelled, stopped or cut off, past those that failed.

    Raises RolloutNotFound (404), RolloutRunning, WrongState (409), LeaseLost.
    """
    run, failed = await _take_up(reference, watch, by, patience)
    return await _conduct(replace(run, left_out=failed), watch)


async def retry_rollout(
    reference: str, watch: Watcher, patience: float = 0.0, *, by: Actor
) -> Rollout:
    """Try those again that failed in a rollout, and no others.

    It is paused afterwards, if others are behind. Raises as `resume_rollout` does.
    """
    run, failed = await _take_up(reference, watch, by, patience)
    return await _conduct(replace(run, only=failed), watch)


async def rehearse_rollout(scope: Scope, options: Options, watch: Watcher) -> Ended:
    """Do everything in each schema, and roll it back; tells how it would end.

    What can't run in a transaction is tried in one, as it runs in a schema that is being made.
    Raises as `plan_rollout` does.
    """
    started_at = time.monotonic()
    targets = choose_targets(scope.modules, scope.targets)
    _check_canary(options)
    plan = await _plan(targets, scope.tenants)
    runner = Runner(None, options, targets, watch, len(plan.behind))
    watch(Planned("", targets, len(plan.behind), plan.current))
    note = "Nothing was changed."
    try:
        async with runner.at_work():
            runner.record_strays(plan.strays)
            await runner.run_stage(plan.work)
    except Stopped as stop:
        note = f"{stop.note} {note}"
    seconds = time.monotonic() - started_at
    ended = Ended("", "rehearsed", note, runner.migrated, len(runner.failed), seconds)
    watch(ended)
    return ended


@dataclass(frozen=True, slots=True)
class _Run:
    """A rollout that this process holds. left_out, only: schemas of those that are behind."""

    rollout: Rollout
    lease: Lease
    options: Options
    plan: Plan
    left_out: Collection[UUID] = frozenset()
    only: Collection[UUID] | None = None

    def take(self, plan: Plan, done: Collection[UUID] = frozenset()) -> Plan:
        """The part of a plan that this run does."""
        taken = plan.behind if self.only is None else plan.behind.intersection(self.only)
        return plan.only(taken.difference(self.left_out, done))


async def _patiently(
    begin: Callable[[], Awaitable[ResultT]], patience: float, watch: Watcher
) -> ResultT:
    """Raises RolloutRunning (409)."""
    deadline = time.monotonic() + patience
    told = False
    while True:
        try:
            return await begin()
        except errors.RolloutRunning as error:
            if time.monotonic() >= deadline:
                raise
            if not told:
                watch(Waiting(error.detail.partition(". ")[0]))
                told = True
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)


async def _take_up(
    reference: str, watch: Watcher, by: Actor, patience: float
) -> tuple[_Run, set[UUID]]:
    """A rollout that had stopped, with the schemas that have failed in it."""

    async def begin() -> tuple[Rollout, Lease]:
        return await ledger.resume_rollout(reference, by)

    rollout, lease = await _patiently(begin, patience, watch)
    options = Options(**rollout.options)
    # Whoever was to look at the canary has.
    if rollout.migrated:
        options = replace(options, canary=0, pause=False)
    async with _held(lease):
        failed = await ledger.list_failed(rollout.id)
        plan = await _plan(rollout.targets, rollout.scope["tenants"])
    return _Run(rollout, lease, options, plan), failed


async def _conduct(run: _Run, watch: Watcher) -> Rollout:
    started_at = time.monotonic()
    rollout, lease = run.rollout, run.lease
    shown = show_rollout_id(rollout.id)
    taken = run.take(run.plan)
    runner = Runner(lease, run.options, rollout.targets, watch, len(taken.behind))
    async with _held(lease):
        failed = run.plan.behind.intersection(run.left_out)
        await ledger.note_plan(lease, len(run.plan.behind), len(failed))
        watch(Planned(shown, rollout.targets, len(taken.behind), run.plan.current))
        try:
            async with runner.at_work():
                plan = await _run_rounds(run, runner, taken, watch)
            status, note = _judge(plan.behind, failed | runner.failed)
        except Stopped as stop:
            status, note = stop.status, stop.note
    ended = await ledger.end_rollout(lease, status, note)
    seconds = time.monotonic() - started_at
    watch(Ended(shown, ended.status, note, ended.migrated, ended.failed, seconds))
    return ended


async def _run_rounds(run: _Run, runner: Runner, taken: Plan, watch: Watcher) -> Plan:
    """Carry those that were taken, and whoever has come to be behind since; return the last plan.

    Raises Stopped.
    """
    for _ in range(_MOST_ROUNDS):
        runner.record_strays(taken.strays)
        await _run_stages(runner, taken, run.options, watch)
        plan = await _plan(run.rollout.targets, run.rollout.scope["tenants"])
        taken = run.take(plan, runner.failed)
        if not taken.behind:
            break
    return plan


def _judge(behind: Collection[UUID], failed: Collection[UUID]) -> tuple[RolloutStatus, str]:
    """How a run has ended that nothing stopped, and a note about it."""
    untried = len(set(behind).difference(failed))
    note = f"{untried} more are behind. Resume it to go on." if untried else ""
    if failed:
        return RolloutStatus.FAILED, note
    return RolloutStatus.PAUSED if untried else RolloutStatus.COMPLETED, note


@asynccontextmanager
async def _held(lease: Lease) -> AsyncIterator[None]:
    """Give the lease back if the block is cut off, or fails as nobody foresaw."""
    try:
        yield
    except asyncio.CancelledError:
        note = "It was cut off. Resume it to go on."
        await asyncio.shield(ledger.end_rollout(lease, RolloutStatus.INTERRUPTED, note))
        raise
    except LeaseLost:
        raise  # The run is another runner's.
    except Exception as error:
        await ledger.end_rollout(lease, RolloutStatus.FAILED, describe_error(error))
        raise


async def _run_stages(runner: Runner, plan: Plan, options: Options, watch: Watcher) -> None:
    """Raises Stopped."""
    for number, (stage, work) in enumerate(_divide(plan.work, options)):
        watch(Staged(stage, len(work)))
        await runner.run_stage(work)
        if options.check_command is not None and work:
            passed, output = await _check(options.check_command)
            watch(Checked(stage, passed, output))
            if not passed:
                raise Stopped(RolloutStatus.FAILED, f"The check after {stage} did not pass.")
        if stage == "canary" and options.pause and number == 0:
            raise Stopped(RolloutStatus.PAUSED, "The canary is done.")


def _divide(work: Sequence[Work], options: Options) -> list[tuple[str, list[Work]]]:
    """The stages: the canary if there is one, then batches."""
    if isinstance(options.canary, str):
        slugs = set(get_settings().canary_groups[options.canary])
        canary = [each for each in work if each.vessel.ref.slug in slugs]
    else:
        canary = list(work[: options.canary])
    chosen = {id(each) for each in canary}
    rest = [each for each in work if id(each) not in chosen]
    size = options.batch or max(len(rest), 1)
    batches = [rest[at : at + size] for at in range(0, len(rest), size)]
    stages = [(f"batch {number}", batch) for number, batch in enumerate(batches, start=1)]
    return [("canary", canary), *stages] if canary else stages


async def _check(command: str) -> tuple[bool, str]:
    """Run the operator's own command, in a shell as it was typed."""
    process = await asyncio.create_subprocess_shell(
        command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode == 0, output.decode(errors="replace").strip()[-2000:]


def _check_canary(options: Options) -> None:
    groups = get_settings().canary_groups
    if isinstance(options.canary, str) and options.canary not in groups:
        reason = f"must be a number, or a group of the settings: {', '.join(groups) or 'none'}"
        raise errors.InvalidInput(f"`canary` {reason}.", errors=[("canary", reason)])


async def _plan(targets: dict[str, str | None], slugs: Collection[str] | None) -> Plan:
    async with owner_connection() as connection:
        await ensure_fleet_tables(connection)
    wire = Wire(get_settings())
    try:
        fleet = await read_fleet(wire, slugs)
    finally:
        await wire.close()
    return make_plan(fleet, targets)
