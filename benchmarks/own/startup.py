"""How long until a new process answers, and what of that goes into imports."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from typing import Any

from benchmarks.bench import Bench
from benchmarks.figures import show, show_spread, spread
from benchmarks.services import ROOT, free_port, is_ready, stop
from benchmarks.tables import Table

_LOOK_SECONDS = 0.005
_LIMIT_SECONDS = 30.0
_IMPORT = "import django; django.setup(); import project.asgi"
_LARGEST = 8


def measure(bench: Bench) -> dict[str, Any]:
    """Seconds to the first answer on a database that runs; milliseconds of imports."""
    imports = _time_imports()
    largest = sorted(imports.items(), key=lambda item: -item[1])[:_LARGEST]
    return {
        "seconds": spread([_start(bench) for _ in range(bench.scale.starts)]),
        "import_milliseconds": sum(imports.values()),
        "largest_import_milliseconds": dict(largest),
    }


def _start(bench: Bench) -> float:
    port = free_port()
    started_at = time.perf_counter()
    with (bench.logs / "startup.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--port", str(port)],
            cwd=ROOT,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        while not is_ready(port):
            if process.poll() is not None or time.perf_counter() - started_at > _LIMIT_SECONDS:
                raise RuntimeError("the server doesn't get ready")
            time.sleep(_LOOK_SECONDS)
        return time.perf_counter() - started_at
    finally:
        stop(process)


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
    rows = [
        [
            "seconds to the first answer",
            show(found["seconds"]["median"]),
            show_spread(found["seconds"]),
        ],
        ["milliseconds of imports (`-X importtime`)", show(found["import_milliseconds"]), ""],
    ]
    largest = ", ".join(
        f"{name} {each:.0f}" for name, each in found["largest_import_milliseconds"].items()
    )
    return Table("start-up", ["", "median", "spread"], rows, [f"The largest imports: {largest}."])
