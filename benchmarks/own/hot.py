"""A hot conversation: sixteen connections append to one, or each to its own."""

from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import ratio, show, show_spread, spread
from benchmarks.scale import WARM_UP_SECONDS
from benchmarks.services import run_ours
from benchmarks.tables import Table


def measure(bench: Bench) -> dict[str, Any]:
    logs = bench.targets("ours")["log"]
    kinds = {"spread": logs, "hot": logs[:1]}
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    waits: dict[str, list[float]] = {kind: [] for kind in kinds}
    with run_ours(bench.stage, bench.logs) as ours:
        for turn in range(bench.scale.own_rounds + 1):
            for kind, targets in kinds.items():
                seconds = bench.scale.own_seconds if turn else WARM_UP_SECONDS
                result = bench.perform(ours.port, "append", {"log": targets}, seconds=seconds)
                if turn:
                    rates[kind].append(result.answers / result.seconds)
                    waits[kind].append(result.p99_milliseconds)
    return {
        "per_second": {kind: spread(each) for kind, each in rates.items()},
        "p99_milliseconds": {kind: spread(each) for kind, each in waits.items()},
        "ratio": ratio(rates["hot"], rates["spread"]),
    }


def tabulate(found: dict[str, Any]) -> Table:
    labels = {"spread": "each to its own", "hot": "all to one"}
    rows = [
        [
            label,
            show(found["per_second"][kind]["median"]),
            show_spread(found["per_second"][kind]),
            show(found["p99_milliseconds"][kind]["median"]),
        ]
        for kind, label in labels.items()
    ]
    rows.append(["ratio", show(found["ratio"]["median"]), show_spread(found["ratio"]), ""])
    return Table(
        "hot-conversation", ["16 connections append", "a second", "spread", "p99 ms"], rows
    )
