"""What callers wait at half of the highest rate, with requests that come at their own pace.

The highest rate is that of sixteen connections which are always busy, measured just before. A
request's time counts from when it was due.
"""

import asyncio
from itertools import islice
from math import ceil
from statistics import median
from typing import Any

import uvloop

from benchmarks.bench import Bench
from benchmarks.figures import show, show_spread, spread
from benchmarks.pace import Spread, keep_pace
from benchmarks.scenarios import Request, Run, list_requests
from benchmarks.services import run_ours
from benchmarks.tables import Table

_STATUSES = {"append": 201, "read": 200}


def measure(bench: Bench) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with run_ours(bench.stage, bench.logs) as ours:
        for _ in range(3):
            for scenario in _STATUSES:
                highest = bench.perform(
                    ours.port, scenario, bench.targets("ours"), seconds=bench.scale.own_seconds
                )
                pace = highest.answers / highest.seconds / 2
                waited = _keep(bench, ours.port, scenario, pace)
                rounds = found.setdefault(scenario, {"pace": [], "p50": [], "p99": []})
                rounds["pace"].append(pace)
                rounds["p50"].append(waited.p50)
                rounds["p99"].append(waited.p99)
    return {
        scenario: {
            "per_second": median(rounds["pace"]),
            "p50_milliseconds": spread(rounds["p50"]),
            "p99_milliseconds": spread(rounds["p99"]),
            "ratio": spread(
                [p99 / p50 for p50, p99 in zip(rounds["p50"], rounds["p99"], strict=True)]
            ),
        }
        for scenario, rounds in found.items()
    }


def _keep(bench: Bench, port: int, scenario: str, per_second: float) -> Spread:
    seconds = bench.scale.pace_seconds
    run = Run(
        port,
        scenario,
        bench.targets("ours"),
        bench.next_number(),
        connections=1,
        seconds=seconds,
    )
    enough = ceil(per_second * (seconds + 5))
    requests: list[Request] = list(islice(_spread_out(run), enough))

    async def keep() -> list[float]:
        ended = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, ended.set)
        messages = [message for message, _ in requests]
        return await keep_pace(port, messages, per_second, ended, _STATUSES[scenario])

    return Spread.of(uvloop.run(keep()))


def _spread_out(run: Run) -> Any:
    """The requests of several connections, each to its own conversation, one after the other."""
    width = len(run.targets["log"])
    wide = Run(run.port, run.scenario, run.targets, run.first_number, width, run.seconds)
    clients = [list_requests(wide, number) for number in range(width)]
    while True:
        for client in clients:
            yield next(client)


def tabulate(found: dict[str, Any]) -> Table:
    rows = [
        [
            scenario,
            show(figures["per_second"]),
            show(figures["p50_milliseconds"]["median"]),
            show(figures["p99_milliseconds"]["median"]),
            f"{figures['ratio']['median']:.1f}",
            show_spread(figures["ratio"]),
        ]
        for scenario, figures in found.items()
    ]
    columns = ["at half load", "a second", "p50 ms", "p99 ms", "p99 / p50", "spread"]
    return Table("half-load", columns, rows)
