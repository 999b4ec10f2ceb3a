"""Many tenants at random, against one tenant with as many conversations; and the memory it takes.

Every tenant has one conversation of ten messages with two tool calls each, and a key of its own;
the one tenant has them all. A backend keeps what it has read of each tenant's catalog, so there is
a long warm-up, in which the connections meet the tenants.
"""

from functools import partial
from typing import Any

import uvloop

from benchmarks import seed
from benchmarks.bench import Bench
from benchmarks.load import Result
from benchmarks.measured import COLUMNS, compare_rounds, show_ratio, show_rounds, sum_up
from benchmarks.memory import read_backends, read_proportional, read_resident
from benchmarks.own.rounds import take_turns
from benchmarks.own.tenants import CALLS, MESSAGES, add_fleet, add_tenant
from benchmarks.scenarios import Target
from benchmarks.services import run_ours
from benchmarks.stage import POOL_SIZE, connect_as_owner, postgres_folder
from benchmarks.tables import Table
from project.dev.postgres_watchdog import postmaster_pid
from tenants.ids import show_id

# So that each tenant is known to a connection, and its statements are planned for good.
_WARM_UP_SECONDS_PER_TENANT = 0.04
_LABELS = {"one": "one tenant", "many": "many tenants"}


def measure(bench: Bench) -> dict[str, Any]:
    count = bench.scale.tenants
    targets: dict[str, list[Target]] = {
        "one": uvloop.run(_fill_one(add_tenant("single"), count)),
        "many": [
            (key, show_id("conv", conversation))
            for key, conversation in add_fleet(bench.superuser_url, count)
        ],
    }
    with run_ours(bench.stage, bench.logs) as ours:

        def perform(scenario: str, kind: str, seconds: float) -> Result:
            chosen = {"page": targets[kind], "log": targets[kind]}
            return bench.perform(ours.port, scenario, chosen, seconds=seconds)

        before = _weigh(ours.pid)
        met = sum(
            perform(scenario, "many", count * _WARM_UP_SECONDS_PER_TENANT / 2).answers
            for scenario in ("append-anywhere", "read-anywhere")
        )
        kinds = {
            f"{what} {kind}": partial(perform, f"{what}-anywhere", kind)
            for what in ("append", "read")
            for kind in targets
        }
        rounds = take_turns(bench, ours, kinds)
        after = _weigh(ours.pid)
    return {
        "tenants": count,
        "warm_up_requests": met,
        "kinds": {kind: sum_up(each) for kind, each in rounds.items()},
        "ratios": {
            what: compare_rounds(rounds[f"{what} many"], rounds[f"{what} one"])
            for what in ("append", "read")
        },
        "memory_mib": {"before": before, "after": after},
    }


async def _fill_one(tenant: tuple[str, str], count: int) -> list[Target]:
    key, schema = tenant
    owner = await connect_as_owner()
    try:
        made = await seed.fill(owner, schema, conversations=count, messages=MESSAGES, calls=CALLS)
    finally:
        await owner.close()
    return [(key, show_id("conv", each)) for each in made]


def _weigh(server: int) -> dict[str, float]:
    """Of our process, and of what is private to the database's: MiB."""
    postmaster = postmaster_pid(postgres_folder() / "data")
    backends = read_backends(postmaster) if postmaster is not None else []
    return {
        "resident": read_resident(server),
        "proportional": read_proportional(server),
        "backend": max(backends, default=0.0),
        "backends": sum(backends),
    }


def tabulate(found: dict[str, Any]) -> Table:
    rows = []
    for what in ("append", "read"):
        for kind, label in _LABELS.items():
            rows.append([f"{what}, {label}", *show_rounds(found["kinds"][f"{what} {kind}"])])
        rate, ends, cpu = show_ratio(found["ratios"][what])
        rows.append([f"{what}, ratio", rate, ends, "", "", cpu])
    each_meets = found["warm_up_requests"] / found["tenants"] / POOL_SIZE
    notes = [
        f"Before: {found['warm_up_requests']:,} requests, {each_meets:.1f} for each tenant on each "
        "connection."
    ]
    notes += [
        f"Memory {moment}: the server {each['resident']:.0f} MiB resident, "
        f"{each['proportional']:.0f} proportional; private to the largest backend "
        f"{each['backend']:.0f}, to all of the database's processes {each['backends']:.0f}."
        for moment, each in found["memory_mib"].items()
    ]
    columns = [f"{found['tenants']:,} at random", *COLUMNS]
    return Table("many-tenants", columns, rows, notes)
