"""Carry a change to a fleet, in three ways, on one server.

`python -m benchmarks.rollouts [--tenants 10000] [--json]`

Ours, Alembic in a loop as its cookbook has it, and django-tenants' `migrate_schemas` each add a
column to the messages of every tenant, and are run again when there is nothing to do. Our fleet
grows by tens to `--tenants`, and is carried at each size. The peers, which are slow, are given
`--peer-tenants` with the same tables, and compared by what one tenant takes. At last tenants are
onboarded, ours over HTTP beside all of the fleet, django-tenants' beside its own.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks import alembic_loop, fleet, onboarding
from benchmarks.django_tenants_peer.peer import Peer
from benchmarks.memory import watch_memory
from benchmarks.stage import serve_database
from project.dev.postgres import EmbeddedPostgres
from project.dev.postgres_watchdog import postmaster_pid
from project.dev.settings import ENV_PREFIX, ROOT

MODULE, OLD, NEW = "bench", "bench_0001", "bench_0002"
_ADD_COLUMN = "ALTER TABLE messages ADD COLUMN mood_{number} TEXT"
_ROUNDS = 3
_EXECUTORS = ("standard", "multiprocessing")


@dataclass(frozen=True)
class Seconds:
    """Of each round: adding the column, and having nothing to do."""

    column: list[float]
    nothing: list[float]
    tenants: int

    def show(self) -> dict[str, Any]:
        return {
            "tenants": self.tenants,
            "column_milliseconds_per_tenant": _spread(self.column, 1000 / self.tenants),
            "nothing_milliseconds_per_tenant": _spread(self.nothing, 1000 / self.tenants),
            "nothing_seconds": _spread(self.nothing, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollouts", description=__doc__)
    parser.add_argument("--tenants", type=int, default=300, help="of ours, at last")
    parser.add_argument("--peer-tenants", type=int, default=100, help="of the peers, at the most")
    parser.add_argument("--creations", type=int, default=100, help="tenants onboarded, each way")
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end")
    options = parser.parse_args()
    peers = min(options.tenants, options.peer_tenants)
    with ExitStack() as stack:
        stack.enter_context(serve_database(MODULES='["conversations", "benchmarks.release"]'))
        folder = Path(os.environ[f"{ENV_PREFIX}DATA_DIR"]) / "postgres"
        server = EmbeddedPostgres(folder)
        superuser_url = server.start()
        stack.callback(server.stop)
        sizes = [size for size in (100, 1_000, 10_000) if size < options.tenants]
        ours = measure_ours(superuser_url, folder / "data", [*sizes, options.tenants])
        summary = {
            "ours": ours,
            "command_nothing_seconds": time_command(),
            "alembic": measure_alembic(peers).show(),
        }
        with Peer(superuser_url, [fleet.render_tables()]) as peer:
            peer.create(["template"])
            peer.seed("template", [f"crowd_{number}" for number in range(peers - 1)])
            summary |= measure_django_tenants(peer, peers)
            stage = onboarding.Stage(folder / "onboarding.log")
            summary["onboarding"] = stage.measure_creations(peer, options.creations)
    summary["ratios"] = compare(summary)
    print(render(summary))
    if options.json:
        print(orjson.dumps(summary).decode())


def measure_ours(superuser_url: str, data: Path, sizes: Sequence[int]) -> list[dict[str, Any]]:
    """Grow the fleet to each size, and carry it. At the end it is at the old revision."""
    postmaster = postmaster_pid(data)
    assert postmaster is not None
    found, tenants = [], 0
    for size in sizes:
        fleet.grow(superuser_url, size - tenants)
        fleet.carry(MODULE, OLD, size - tenants)  # The others are there already.
        tenants = size
        column, nothing = [], []
        with watch_memory(postmaster) as peak:
            for _ in range(_ROUNDS):
                column.append(fleet.carry(MODULE, NEW, size))
                nothing.append(fleet.carry(MODULE, NEW, 0))
                fleet.carry(MODULE, OLD, size)
        found.append({**Seconds(column, nothing, size).show(), "memory_mib": asdict(peak)})
    return found


def time_command() -> dict[str, float]:
    """Seconds of `manage.py rollout run` with nothing to do, from the shell's point of view."""
    arguments = ["rollout", "run", "--to", f"{MODULE}@{OLD}", "--json"]

    def run() -> None:
        subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, check=True, capture_output=True
        )

    return _spread([_time(run) for _ in range(_ROUNDS)], 1)


def measure_alembic(count: int) -> Seconds:
    """Carry some of our tenants, whose stamps of ours know nothing of it, and back."""
    from tenants.models import Tenant

    ids = Tenant.objects.order_by("id").values_list("id", flat=True)[:count]
    schemas = [f"t_{tenant_id.hex}" for tenant_id in ids]
    url = os.environ[f"{ENV_PREFIX}OWNER_URL"]
    column, nothing = [], []
    for _ in range(_ROUNDS):
        column.append(_time(lambda: alembic_loop.upgrade_schemas(url, schemas, NEW)))
        nothing.append(_time(lambda: alembic_loop.upgrade_schemas(url, schemas, NEW)))
        alembic_loop.downgrade_schemas(url, schemas, OLD)
    return Seconds(column, nothing, len(schemas))


def measure_django_tenants(peer: Peer, count: int) -> dict[str, Any]:
    """By both of its executors, the second with two processes."""
    found = {}
    for executor in _EXECUTORS:
        column, nothing = [], []
        for turn in range(_ROUNDS):
            peer.add_migration([_ADD_COLUMN.format(number=f"{executor}_{turn}")])
            peer.restart()
            column.append(peer.migrate_schemas(executor))
            nothing.append(peer.migrate_schemas(executor))
        found[f"django_tenants_{executor}"] = Seconds(column, nothing, count).show()
    return found


def compare(summary: dict[str, Any]) -> dict[str, float]:
    """How many times as long a peer takes for a tenant as ours, at the last size."""
    ours = summary["ours"][-1]
    names = ["alembic", *(f"django_tenants_{executor}" for executor in _EXECUTORS)]
    return {
        f"{name}/ours {work}": summary[name][key]["median"] / ours[key]["median"]
        for name in names
        for work, key in (
            ("column", "column_milliseconds_per_tenant"),
            ("nothing", "nothing_milliseconds_per_tenant"),
        )
    }


def render(summary: dict[str, Any]) -> str:
    head = f"{'':<34}{'column':>10}{'spread':>16}{'nothing':>12}{'in all':>10}"
    units = f"{'tenants':<34}{'ms each':>10}{'':>16}{'ms each':>12}{'s':>10}"
    lines = [head, units]
    rows = [(f"ours, {each['tenants']:,}", each) for each in summary["ours"]]
    rows += [(f"Alembic in a loop, {summary['alembic']['tenants']:,}", summary["alembic"])]
    for executor in _EXECUTORS:
        each = summary[f"django_tenants_{executor}"]
        rows.append((f"django-tenants, {executor}, {each['tenants']:,}", each))
    for label, each in rows:
        column, nothing = (
            each["column_milliseconds_per_tenant"],
            each["nothing_milliseconds_per_tenant"],
        )
        spread = f"{column['least']:.2f} to {column['most']:.2f}"
        lines.append(
            f"{label:<34}{column['median']:>10.2f}{spread:>16}{nothing['median']:>12.3f}"
            f"{each['nothing_seconds']['median']:>10.2f}"
        )
    lines.append("")
    lines += [f"{name:<50}{ratio:>10.0f}" for name, ratio in summary["ratios"].items()]
    command = summary["command_nothing_seconds"]["median"]
    lines += ["", f"the whole command with nothing to do: {command:.2f} s"]
    for each in summary["ours"]:
        memory = each["memory_mib"]
        lines.append(
            f"memory at {each['tenants']:,}: runner {memory['process']:.0f} MiB, "
            f"a backend {memory['backend']:.0f}, all backends {memory['backends']:.0f}"
        )
    lines += [
        "",
        onboarding.render_creations(summary["onboarding"], summary["ours"][-1]["tenants"]),
    ]
    return "\n".join(lines)


def _time(work: Callable[[], None]) -> float:
    started_at = time.perf_counter()
    work()
    return time.perf_counter() - started_at


def _spread(values: Sequence[float], scale: float) -> dict[str, float]:
    return {
        "median": median(values) * scale,
        "least": min(values) * scale,
        "most": max(values) * scale,
    }


if __name__ == "__main__":
    main()
