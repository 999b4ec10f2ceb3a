"""Rollouts that a web process carries out beside its requests.

A process that is stopped leaves its rollout interrupted; one that is killed leaves it to the lease.
Either way any other process can resume it.
"""

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import connections

from tenants.models import Rollout
from tenants.rollouts.events import Ended, Event, Planned, Watcher
from tenants.rollouts.ledger import get_rollout

log = structlog.get_logger(__name__)

# `start_rollout` and its like, given all but who watches.
Conduct = Callable[[Watcher], Coroutine[Any, Any, Rollout]]

_tasks: set[asyncio.Task[None]] = set()


async def carry_in_background(conduct: Conduct) -> Rollout:
    """Have a rollout carried out, and return it as soon as it runs.

    It goes on when whoever asked for it has gone. Raises what stands against its beginning.
    """
    begun: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    # Not in the request's context, whose thread for Django's ORM ends with the request.
    task = asyncio.create_task(_carry(conduct, begun), context=contextvars.Context())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return await get_rollout(await asyncio.shield(begun))


async def interrupt_all() -> None:
    """End what this process carries out, so that others can resume it."""
    tasks = tuple(_tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _carry(conduct: Conduct, begun: asyncio.Future[str]) -> None:
    def watch(event: Event) -> None:
        if isinstance(event, Planned):
            begun.set_result(event.rollout)
        elif isinstance(event, Ended):
            log.info(
                "rollout.ended",
                rollout=event.rollout,
                status=event.status,
                note=event.note,
                migrated=event.migrated,
                failed=event.failed,
                seconds=round(event.seconds, 1),
            )

    async with ThreadSensitiveContext():
        try:
            await conduct(watch)
        except Exception as error:
            if begun.done():
                log.error("rollout.broken_off", reason=repr(error), exc_info=error)
            else:
                begun.set_exception(error)
        finally:
            begun.cancel()  # Of use only where the process stops before the run has begun.
            await sync_to_async(connections.close_all)()
