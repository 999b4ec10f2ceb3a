"""Scenarios in which ours is compared with itself: what it loses where there is more of something.

Each module has `measure`, which returns what it found as JSON values, and `tabulate`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.bench import Bench
from benchmarks.own import half_load, hot, long, many, onboard, processes, startup, visits
from benchmarks.tables import Table


@dataclass(frozen=True)
class Own:
    measure: Callable[[Bench], dict[str, Any]]
    tabulate: Callable[[dict[str, Any]], Table]


# In the order in which they are run: the last ones leave large tenants and a fleet behind.
OWN = {
    "start-up": Own(startup.measure, startup.tabulate),
    "half-load": Own(half_load.measure, half_load.tabulate),
    "hot-conversation": Own(hot.measure, hot.tabulate),
    "processes": Own(processes.measure, processes.tabulate),
    "onboarding": Own(onboard.measure, onboard.tabulate),
    "long-conversation": Own(long.measure, long.tabulate),
    "visits": Own(visits.measure, visits.tabulate),
    "many-tenants": Own(many.measure, many.tabulate),
}
