"""Measure what the service does, beside its peers: `python -m benchmarks --help`."""

import argparse
import dataclasses
import os
import platform
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg

from benchmarks import goals
from benchmarks.bench import Bench, set_up
from benchmarks.compare import PEERS, compare
from benchmarks.own import OWN
from benchmarks.report import tabulate
from benchmarks.scale import FULL, QUICK
from benchmarks.stage import SERVICES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--quick", action="store_true", help="short, and with small numbers")
    parser.add_argument(
        "--scenario",
        action="append",
        choices=[*PEERS, *OWN],
        help="what is measured, all if not given; again for more",
    )
    parser.add_argument(
        "--peer",
        action="append",
        choices=SERVICES[1:],
        help="whom ours is compared with, all if not given; again for more",
    )
    parser.add_argument("--tenants", type=int, metavar="N", help="the many of `many-tenants`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write what is found")
    options = parser.parse_args()
    scenarios, peers = options.scenario or [*PEERS, *OWN], options.peer or [*SERVICES[1:]]
    scale = QUICK if options.quick else FULL
    if options.tenants is not None:
        scale = dataclasses.replace(scale, tenants=options.tenants)
    with set_up(scale) as bench:
        results: dict[str, Any] = {"machine": _describe(bench), "compared": {}, "own": {}}
        for kind, found in measure(bench, scenarios, peers):
            results[kind] |= found
            for table in tabulate({"compared": {}, "own": {}, kind: found}):
                print(f"\n{table.text()}", flush=True)
            if options.json:  # Each time: what comes later may fail.
                content = orjson.dumps(results, option=orjson.OPT_INDENT_2)
                options.json.write_bytes(content + b"\n")
    print(f"\n{goals.tabulate(results).text()}")


def measure(
    bench: Bench, scenarios: list[str], peers: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Whether it is `compared` or `own`, and what was found by scenario, as it becomes known.

    Raises RuntimeError if a service does something wrong.
    """
    if chosen := [name for name in PEERS if name in scenarios]:
        yield "compared", compare(bench, chosen, peers)
    for name in OWN:
        if name in scenarios:
            yield "own", {name: OWN[name].measure(bench)}


def _describe(bench: Bench) -> dict[str, Any]:
    """Enough to know which results may be compared."""
    with psycopg.connect(bench.superuser_url) as connection:
        (postgresql,) = connection.execute("SHOW server_version").fetchone() or ("",)
    return {
        "day": datetime.now(UTC).date().isoformat(),
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgresql": postgresql,
        "scale": bench.scale,
    }


if __name__ == "__main__":
    main()
