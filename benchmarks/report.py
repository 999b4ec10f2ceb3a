"""All that a run has found, as tables."""

from typing import Any

from benchmarks import compare, goals
from benchmarks.own import OWN
from benchmarks.tables import Table


def tabulate(results: dict[str, Any]) -> list[Table]:
    tables = [compare.tabulate(name, found) for name, found in results["compared"].items()]
    return [*tables, *(OWN[name].tabulate(found) for name, found in results["own"].items())]


def describe(results: dict[str, Any]) -> str:
    """A page's worth of Markdown: where it was measured, what was to be reached, all figures."""
    machine = results["machine"]
    where = (
        f"Measured on {machine['day']}: {machine['system']}, {machine['processors']} processors, "
        f"Python {machine['python']}, PostgreSQL {machine['postgresql']}."
    )
    tables = [goals.tabulate(results), *tabulate(results)]
    return "\n\n".join([where, *(table.markdown() for table in tables)])
