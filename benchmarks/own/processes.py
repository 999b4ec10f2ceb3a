"""More processes of ours on one port: how much more is answered, and who keeps the machine busy."""

import os
import time
from statistics import median
from typing import Any

from benchmarks.bench import Bench
from benchmarks.cpu import Cpu, CpuMeter, sum_seconds
from benchmarks.figures import show, spread
from benchmarks.load import Result
from benchmarks.services import run_ours
from benchmarks.tables import Table

# The workers don't all start in the same moment, and the port answers with the first.
_WARM_UP_SECONDS = 3.0
_SCENARIOS = ("append", "read")


def measure(bench: Bench) -> dict[str, Any]:
    """By number of processes; busy: processors that were kept busy, by whom, while reading."""
    counts = list(range(1, bench.scale.processes + 1))
    found: dict[int, dict[str, list[Any]]] = {
        count: {"append": [], "read": [], "busy": []} for count in counts
    }
    for order in (counts, counts[::-1]):
        for count in order:
            _measure(bench, count, found[count])
    return {
        "processors": os.cpu_count(),
        "processes": {
            str(count): {
                **{name: spread(rounds[name]) for name in _SCENARIOS},
                "busy": {
                    who: median(each[who] for each in rounds["busy"])
                    for who in ("service", "database", "driver")
                },
            }
            for count, rounds in found.items()
        },
    }


def _measure(bench: Bench, count: int, found: dict[str, list[Any]]) -> None:
    with (
        run_ours(bench.stage, bench.logs, workers=count) as ours,
        CpuMeter(bench.superuser_url, {"ours": ours.pid}) as meter,
    ):
        time.sleep(_WARM_UP_SECONDS)
        for scenario in _SCENARIOS:
            _perform(bench, ours.port, scenario, _WARM_UP_SECONDS / 2)
            driver_before = sum_seconds([bench.driver.pid])
            with meter.measure("ours") as cpu:
                result = _perform(bench, ours.port, scenario, bench.scale.own_seconds * 2)
            driver = sum_seconds([bench.driver.pid]) - driver_before
            found[scenario].append(result.answers / result.seconds)
            if scenario == "read":
                found["busy"].append(_share(cpu, driver, result.seconds))


def _perform(bench: Bench, port: int, scenario: str, seconds: float) -> Result:
    targets = bench.targets("ours")
    return bench.perform(port, scenario, targets, seconds=seconds)


def _share(cpu: Cpu, driver: float, seconds: float) -> dict[str, float]:
    return {
        "service": cpu.service / seconds,
        "database": cpu.database / seconds,
        "driver": driver / seconds,
    }


def tabulate(found: dict[str, Any]) -> Table:
    base = found["processes"]["1"]
    rows = []
    for count, figures in found["processes"].items():
        cells = []
        for name in _SCENARIOS:
            rate = figures[name]["median"]
            cells += [show(rate), f"{rate / base[name]['median']:.2f}"]
        busy = [f"{figures['busy'][who]:.2f}" for who in ("service", "database", "driver")]
        rows.append([count, *cells, *busy])
    columns = [
        *("processes", "appends a second", "to one", "reads a second", "to one"),
        *("processors busy: service", "database", "load driver"),
    ]
    notes = [f"The machine has {found['processors']} processors for all of it, also for the load."]
    return Table("processes", columns, rows, notes)
