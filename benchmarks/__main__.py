"""`python -m benchmarks [--quick] [--scenario NAME …] [--peer NAME …] [--json FILE]`."""

import argparse
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import psycopg

from benchmarks.bench import Bench, set_up
from benchmarks.compare import PEERS, compare
from benchmarks.own import OWN
from benchmarks.report import tabulate
from benchmarks.scale import FULL, QUICK
from benchmarks.stage import SERVICES


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write what is found")
    options = parser.parse_args()
    scale = QUICK if options.quick else FULL
    with set_up(scale) as bench:
        results = measure(
            bench, options.scenario or [*PEERS, *OWN], options.peer or [*SERVICES[1:]]
        )
    if options.json:
        options.json.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2) + b"\n")


def measure(bench: Bench, scenarios: list[str], peers: list[str]) -> dict[str, Any]:
    """Print each table when it is known. Raises RuntimeError if a service does something wrong."""
    results: dict[str, Any] = {"machine": _describe(bench), "compared": {}, "own": {}}
    chosen = [name for name in PEERS if name in scenarios]
    if chosen:
        results["compared"] = compare(bench, chosen, peers)
        _print(results)
    # In their own order: the last ones leave a fleet behind.
    for name in OWN:
        if name in scenarios:
            results["own"][name] = OWN[name].measure(bench)
            _print({"compared": {}, "own": {name: results["own"][name]}})
    return results


def _print(results: dict[str, Any]) -> None:
    for table in tabulate(results):
        print(f"\n{table.text()}", flush=True)


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
