"""What ours is meant to reach, beside what was measured."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.figures import show
from benchmarks.tables import Table

_PAGES = ("first", "middle", "newest")


@dataclass(frozen=True)
class Goal:
    """find: the figure in a run's results; raises KeyError where it wasn't measured."""

    label: str
    bound: float
    find: Callable[[dict[str, Any]], float]
    at_least: bool = True

    def is_met(self, figure: float) -> bool:
        return figure >= self.bound if self.at_least else figure <= self.bound


def _to_peer(scenario: str, peer: str) -> Callable[[dict[str, Any]], float]:
    def find(results: dict[str, Any]) -> float:
        ratios = results["compared"][scenario]["ratios"][peer]
        return float(ratios["per_second"]["median"])

    return find


def _own(*path: str) -> Callable[[dict[str, Any]], float]:
    def find(results: dict[str, Any]) -> float:
        found: Any = results["own"]
        for name in path:
            found = found[name]
        return float(found)

    return find


def _length(conversation: str) -> Callable[[dict[str, Any]], float]:
    """The worst page's time against that page of a short conversation in a small tenant."""

    def find(results: dict[str, Any]) -> float:
        times = results["own"]["long-conversation"]["p50_milliseconds"]
        return float(max(times[conversation][page] / times["small"][page] for page in _PAGES))

    return find


_GOALS = [
    *(
        Goal(
            f"{scenario}: requests a second, to the bare function's",
            0.6,
            _to_peer(scenario, "bare"),
        )
        for scenario in ("append", "append-keyed", "read")
    ),
    *(
        Goal(
            f"{scenario}: requests a second, to FastAPI's with the ORM",
            4.0,
            _to_peer(scenario, "fastapi-orm"),
        )
        for scenario in ("append", "read")
    ),
    *(
        Goal(
            f"many tenants at random: {what}s a second, to one tenant's",
            0.8,
            _own("many-tenants", "ratios", what, "per_second", "median"),
        )
        for what in ("append", "read")
    ),
    Goal(
        "a hot conversation: appends a second, to appends spread out",
        0.5,
        _own("hot-conversation", "ratio", "per_second", "median"),
    ),
    *(
        Goal(
            f"half load, {what}: p99 to p50", 4.0, _own("half-load", what, "ratio", "median"), False
        )
        for what in ("append", "read")
    ),
    Goal("a page of a long conversation: p50, to a short one's", 1.25, _length("long"), False),
    Goal("a page in a large tenant: p50, to a small one's", 1.25, _length("large"), False),
    Goal(
        "start-up: seconds to the first answer", 2.0, _own("start-up", "seconds", "median"), False
    ),
]


def tabulate(results: dict[str, Any]) -> Table:
    """Those of the goals that the run has measured."""
    rows = [
        [
            goal.label,
            f"{'at least' if goal.at_least else 'at most'} {show(goal.bound)}",
            show(figure),
            "yes" if goal.is_met(figure) else "no",
        ]
        for goal, figure in _measured(results)
    ]
    return Table("Goals", ["", "goal", "measured", "met"], rows)


def _measured(results: dict[str, Any]) -> Iterator[tuple[Goal, float]]:
    for goal in _GOALS:
        try:
            yield goal, goal.find(results)
        except KeyError:
            continue
