"""A hot conversation: sixteen connections append to one, or each to its own."""

from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import ratio, show, show_spread
from benchmarks.own.rounds import rates, sum_up, take_turns
from benchmarks.scenarios import Target
from benchmarks.services import run_ours
from benchmarks.tables import Table

_LABELS = {"spread": "each to its own", "hot": "all to one"}


def measure(bench: Bench) -> dict[str, Any]:
    logs = bench.targets("ours")["log"]
    with run_ours(bench.stage, bench.logs) as ours:

        def append(targets: list[Target], seconds: float) -> Any:
            return bench.perform(ours.port, "append", {"log": targets}, seconds=seconds)

        kinds = {"spread": partial(append, logs), "hot": partial(append, logs[:1])}
        results = take_turns(bench, kinds)
    return {
        **{kind: sum_up(each) for kind, each in results.items()},
        "ratio": ratio(rates(results["hot"]), rates(results["spread"])),
    }


def tabulate(found: dict[str, Any]) -> Table:
    rows = [
        [
            label,
            show(found[kind]["per_second"]["median"]),
            show_spread(found[kind]["per_second"]),
            show(found[kind]["p50_milliseconds"]),
            show(found[kind]["p99_milliseconds"]),
        ]
        for kind, label in _LABELS.items()
    ]
    rows.append(["ratio", show(found["ratio"]["median"]), show_spread(found["ratio"]), "", ""])
    columns = ["16 connections append", "a second", "spread", "p50 ms", "p99 ms"]
    return Table("hot-conversation", columns, rows)
