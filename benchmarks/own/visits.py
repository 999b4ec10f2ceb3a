"""What it costs a connection to serve tenants in turn: those that it has yet to meet, then again.

One connection, and one request after the other: a page of ten messages of each tenant. A backend
reads a tenant's tables when it first meets them, and plans what is asked of them.
"""

import time
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import uvloop
from sqlalchemy import text

from benchmarks.bench import Bench
from benchmarks.cpu import sum_seconds
from benchmarks.figures import show
from benchmarks.own.tenants import add_conversations, grow_fleet
from benchmarks.tables import Table
from tenants.ids import show_id
from tenants.tenant import TenantRef

_TENANTS = 500
# The eighth stands for all later ones: after five, PostgreSQL keeps a plan by itself.
_LABELS = {1: "the first time", 2: "the second time", 3: "the third time", 8: "the eighth time"}

Target = tuple[TenantRef, UUID]


def measure(bench: Bench) -> dict[str, Any]:
    tenants = grow_fleet(bench.superuser_url, min(_TENANTS, bench.scale.tenants))
    conversations = add_conversations(bench.superuser_url, tenants, number=2)
    refs = [tenant.ref for tenant in tenants]
    return uvloop.run(_visit(list(zip(refs, conversations, strict=True))))


async def _visit(targets: Sequence[Target]) -> dict[str, Any]:
    from tenants.db.engine import dispose_engines
    from tenants.db.unit_of_work import read_session

    try:
        async with read_session(targets[0][0]) as session:
            backend = await session.scalar(text("SELECT pg_backend_pid()"))
        visits = [await _read(backend, targets) for _ in range(max(_LABELS))]
        same = await _read(backend, [targets[-1]] * len(targets))
    finally:
        await dispose_engines()
    return {
        "tenants": len(targets),
        "visits": {str(number): visits[number - 1] for number in _LABELS},
        "same": same,
    }


async def _read(backend: int, targets: Sequence[Target]) -> dict[str, float]:
    """The mean of all targets, in milliseconds."""
    from conversations import schemas, service
    from tenants.db.unit_of_work import read_session

    started_at, before = time.perf_counter(), sum_seconds([backend])
    for tenant, conversation in targets:
        async with read_session(tenant) as session:
            await service.list_messages(
                session, show_id("conv", conversation), schemas.MessageQuery()
            )
    seconds, busy = time.perf_counter() - started_at, sum_seconds([backend]) - before
    return {
        "milliseconds": seconds / len(targets) * 1000,
        "database_cpu_milliseconds": busy / len(targets) * 1000,
    }


def tabulate(found: dict[str, Any]) -> Table:
    kinds = {label: found["visits"][str(number)] for number, label in _LABELS.items()}
    kinds["always the same"] = found["same"]
    rows = [
        [label, show(each["milliseconds"]), show(each["database_cpu_milliseconds"])]
        for label, each in kinds.items()
    ]
    columns = [f"{found['tenants']:,} tenants, one after the other", "ms", "database cpu ms"]
    return Table("visits", columns, rows, ["Means. One connection."])
