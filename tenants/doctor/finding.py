"""What an examination says of one thing."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """warning: it works, and may not go on so. problem: something doesn't work, or isn't safe."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """name: what was looked at. found: what is so. mend: what to do about it, if it isn't ok.

    blocks: whether the checks that come later rest on it, and can't be made.
    """

    name: str
    status: Status
    found: str
    mend: str = ""
    blocks: bool = False


def ok(name: str, found: str) -> Finding:
    return Finding(name, Status.OK, found)


def warning(name: str, found: str, mend: str) -> Finding:
    return Finding(name, Status.WARNING, found, mend)


def problem(name: str, found: str, mend: str, *, blocks: bool = False) -> Finding:
    return Finding(name, Status.PROBLEM, found, mend, blocks)


def count(number: int, noun: str) -> str:
    """Such as `1 tenant` and `2,000 tenants`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def list_some(names: Collection[str]) -> str:
    """Up to five of the names, and how many more there are."""
    some = sorted(names)[:5]
    more = len(names) - len(some)
    return ", ".join(some) + (f" and {more:,} more" if more else "")
