"""How long until a new process answers, and what of that goes into imports."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from typing import Any

from benchmarks.bench import Bench
from benchmarks.cpu import sum_seconds
from benchmarks.figures import show, show_spread, spread
from benchmarks.served import serve_command
from benchmarks.spawn import free_port, spawn, wait_until_ready
from benchmarks.tables import Table
from project.dev.settings import ROOT

_IMPORT = "import django; django.setup(); import project.asgi"
_LARGEST = 8


def measure(bench: Bench) -> dict[str, Any]:
    """Seconds to the first answer on a database that runs; milliseconds of imports."""
    imports = _time_imports()
    largest = sorted(imports.items(), key=lambda item: -item[1])[:_LARGEST]
    seconds, cpu_seconds = zip(*(_start(bench) for _ in range(bench.scale.starts)), strict=True)
    return {
        "seconds": spread(seconds),
        "cpu_seconds": spread(cpu_seconds),
        "import_milliseconds": sum(imports.values()),
        "largest_import_milliseconds": dict(largest),
    }


def _start(bench: Bench) -> tuple[float, float]:
    """Seconds until it answers, and of processor time until then."""
    port, log = free_port(), bench.logs / "startup.log"
    started_at = time.perf_counter()
    with spawn(serve_command(port), log) as process:
        wait_until_ready(process, port, log)
        return time.perf_counter() - started_at, sum_seconds([process.pid])


def _time_imports() -> dict[str, float]:
    """Milliseconds by top-level package, each without what it imports of others."""
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", _IMPORT],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        check=True,
        text=True,
    )
    return read_import_times(result.stderr)


def read_import_times(report: str) -> dict[str, float]:
    """What `python -X importtime` writes: a line of own and cumulative microseconds, and a name."""
    found: dict[str, float] = defaultdict(float)
    for line in report.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if line.startswith("import time:") and own.strip().isdigit():
            name = rest.rpartition("|")[2].strip()
            found[name.partition(".")[0]] += int(own) / 1000
    return dict(found)


def tabulate(found: dict[str, Any]) -> Table:
    seconds, cpu = found["seconds"], found["cpu_seconds"]
    rows = [
        ["seconds to the first answer", show(seconds["median"]), show_spread(seconds)],
        ["seconds of processor time in it", show(cpu["median"]), show_spread(cpu)],
        ["milliseconds of imports (`-X importtime`)", show(found["import_milliseconds"]), ""],
    ]
    largest = ", ".join(
        f"{name} {each:.0f}" for name, each in found["largest_import_milliseconds"].items()
    )
    return Table("start-up", ["", "median", "spread"], rows, [f"The largest imports: {largest}."])
