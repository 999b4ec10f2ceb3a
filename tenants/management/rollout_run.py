"""What `rollout run`, `resume`, `retry` and `migrate_tenants` share: watched, and ended well.

Ctrl-C ends what is under way and gives the lease back, so that the run can be carried on at once.
"""

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from tenants.apps import get_settings
from tenants.management.output import CONFLICT, FAILED, fail
from tenants.management.rollout_display import Display, choose_display
from tenants.models import Rollout, RolloutStatus
from tenants.rollouts import (
    Ended,
    LeaseLost,
    Options,
    Scope,
    Watcher,
    rehearse_rollout,
    show_rollout_id,
)


async def carry(
    begin: Callable[[Watcher, float], Awaitable[Rollout]], *, json: bool, wait: float | None = None
) -> None:
    """Run a rollout under a display, and say how it ended and what to do next.

    begin: starts, resumes or retries it. wait: seconds for which another runner is waited for;
    None: as long as one that has died can seem to run.
    Exits with 1 if a tenant failed or the run stopped; raises RolloutRunning (409).
    """
    display = choose_display(json=json)
    patience = get_settings().rollout_lease_seconds + 1 if wait is None else wait
    try:
        with display, _quiet_log():
            rollout = await begin(display.watch, patience)
    except asyncio.CancelledError:
        _answer_for_interrupted(display)
        raise
    except LeaseLost:
        fail(
            "another runner has taken the rollout over, or the registry didn't answer for too "
            "long; see `manage.py rollout status`",
            CONFLICT,
        )
    display.answer()
    if todo := suggest(rollout):
        display.tell(todo)
    done = rollout.status in {RolloutStatus.COMPLETED, RolloutStatus.PAUSED}
    if rollout.failed or not done:
        sys.exit(FAILED)


async def rehearse(scope: Scope, options: Options, *, json: bool) -> None:
    """Show how a rollout would go, and keep nothing of it. Exits with 1 if a tenant would fail."""
    display = choose_display(json=json)
    with display, _quiet_log():
        ended = await rehearse_rollout(scope, options, display.watch)
    display.answer()
    if ended.failed:
        sys.exit(FAILED)


def suggest(rollout: Rollout) -> str:
    """What an operator can do about a rollout that isn't done; empty for one that is."""
    match rollout.status:
        case RolloutStatus.COMPLETED | RolloutStatus.RUNNING:
            return ""
        case RolloutStatus.FAILED if not rollout.note:  # All were tried.
            return _retry(show_rollout_id(rollout.id))
    return _go_on(show_rollout_id(rollout.id), rollout.failed)


def _go_on(shown: str, failed: int) -> str:
    resume = f"To carry on: manage.py rollout resume {shown}"
    return f"{resume}\n{_retry(shown)}" if failed else resume


def _retry(shown: str) -> str:
    return f"Those that failed, again: manage.py rollout retry {shown}"


def _answer_for_interrupted(display: Display) -> None:
    """What a run that was cut off doesn't tell itself; nothing if it hadn't begun."""
    tally = display.tally
    shown = tally.plan.rollout
    if shown and tally.end is None:
        status = RolloutStatus.INTERRUPTED
        display.watch(Ended(shown, status, "", tally.migrated, tally.failed, tally.seconds))
        display.answer()
        display.tell(_go_on(shown, tally.failed))


@contextmanager
def _quiet_log() -> Iterator[None]:
    """The display tells of each failure; the log would do so again, across it."""
    logger = logging.getLogger("tenants.rollouts")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
