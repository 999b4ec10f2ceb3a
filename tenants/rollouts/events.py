"""What a rollout tells whoever watches it, while it runs."""

from collections.abc import Callable
from dataclasses import dataclass

from tenants.rollouts.ledger import Attempt


@dataclass(frozen=True, slots=True)
class Waiting:
    """Another rollout runs, whose end is waited for. running: which, where, in words."""

    running: str


@dataclass(frozen=True, slots=True)
class Planned:
    """The run begins, or goes on, and has the lease. rollout: its id, as it is shown."""

    rollout: str
    targets: dict[str, str | None]
    planned: int
    current: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A stage begins: the canary, a batch. schemas: how many are in it."""

    stage: str
    schemas: int


@dataclass(frozen=True, slots=True)
class Tried:
    """A schema was carried, or has failed for good."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Postponed:
    """A lock was in a schema's way, or the server; it is tried again after the others."""

    name: str
    error: str
    tries: int


@dataclass(frozen=True, slots=True)
class Checked:
    """The check after the canary or a batch is done."""

    stage: str
    passed: bool
    output: str


@dataclass(frozen=True, slots=True)
class Ended:
    """status: of `RolloutStatus`. note: why it stopped, if it did before its end."""

    rollout: str
    status: str
    note: str
    migrated: int
    failed: int
    seconds: float


Event = Waiting | Planned | Staged | Tried | Postponed | Checked | Ended
Watcher = Callable[[Event], None]
