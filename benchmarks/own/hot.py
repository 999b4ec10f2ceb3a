"""A hot conversation: sixteen connections append to one, or each to its own."""

from functools import partial
from typing import Any

from benchmarks.bench import Bench
from benchmarks.load import Result
from benchmarks.measured import COLUMNS, compare_rounds, show_ratio, show_rounds, sum_up
from benchmarks.own.rounds import take_turns
from benchmarks.scenarios import Target
from benchmarks.services import run_ours
from benchmarks.tables import Table

_LABELS = {"spread": "each to its own", "hot": "all to one"}


def measure(bench: Bench) -> dict[str, Any]:
    logs = bench.targets("ours")["log"]
    with run_ours(bench.stage, bench.logs) as ours:

        def append(targets: list[Target], seconds: float) -> Result:
            return bench.perform(ours.port, "append", {"log": targets}, seconds=seconds)

        kinds = {"spread": partial(append, logs), "hot": partial(append, logs[:1])}
        rounds = take_turns(bench, ours, kinds)
    return {
        "kinds": {kind: sum_up(each) for kind, each in rounds.items()},
        "ratio": compare_rounds(rounds["hot"], rounds["spread"]),
    }


def tabulate(found: dict[str, Any]) -> Table:
    rows = [[label, *show_rounds(found["kinds"][kind])] for kind, label in _LABELS.items()]
    rate, ends, cpu = show_ratio(found["ratio"])
    rows.append(["ratio", rate, ends, "", "", cpu])
    return Table("hot-conversation", ["16 connections append", *COLUMNS], rows)
