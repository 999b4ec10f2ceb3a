"""Scenarios in which ours is compared with itself: what it loses where there is more of something.

Each module has `measure`, which returns what it found as JSON values, and `tabulate`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.bench import Bench
from benchmarks.own import hot
from benchmarks.tables import Table


@dataclass(frozen=True)
class Own:
    measure: Callable[[Bench], dict[str, Any]]
    tabulate: Callable[[dict[str, Any]], Table]


OWN = {
    "hot-conversation": Own(hot.measure, hot.tabulate),
}
