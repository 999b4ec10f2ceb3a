"""All that a run has found, as tables."""

from typing import Any

from benchmarks import compare
from benchmarks.own import OWN
from benchmarks.tables import Table


def tabulate(results: dict[str, Any]) -> list[Table]:
    tables = [compare.tabulate(name, found) for name, found in results["compared"].items()]
    tables += [OWN[name].tabulate(found) for name, found in results["own"].items()]
    return tables
