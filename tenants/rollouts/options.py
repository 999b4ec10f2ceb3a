"""What an operator can say about how a rollout goes."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from tenants import errors


@dataclass(frozen=True, slots=True)
class Scope:
    """Whom a rollout is for: slugs and names of modules, None for all.

    targets: revision by module, where not its head; None is the empty schema.
    """

    tenants: Collection[str] | None = None
    modules: Collection[str] | None = None
    targets: dict[str, str | None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a rollout goes.

    canary: so many tenants go first, or those of this group in the settings. pause: stop after
    them, to be resumed. check_command: run after the canary and after each batch; another exit
    code than 0 stops the run. batch: tenants between two checks; 0 for all at once.
    concurrency: connections of the owner login. max_failures: the run stops when so many tenants
    have failed; with "%", of those planned. lock_timeout_ms: how long a change may keep a
    tenant's requests waiting. retries: further tries where a lock, or the server, was in the way.
    """

    canary: int | str = 0
    pause: bool = False
    check_command: str | None = None
    batch: int = 0
    concurrency: int = 4
    max_failures: str = "10"
    lock_timeout_ms: int = 1000
    retries: int = 5

    def __post_init__(self) -> None:
        bounds = {
            **({"canary": (0, 1_000_000)} if isinstance(self.canary, int) else {}),
            "batch": (0, 1_000_000),
            "concurrency": (1, 64),
            "lock_timeout_ms": (1, 60_000),
            "retries": (0, 100),
        }
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                reason = f"must be {least} to {most}"
                raise errors.InvalidInput(f"`{name}` {reason}.", errors=[(name, reason)])
        number = self.max_failures.removesuffix("%")
        most = 100 if number != self.max_failures else 1_000_000
        if not number.isdecimal() or len(number) > 7 or not 1 <= int(number) <= most:
            reason = "must be a number of tenants from 1, or a percentage such as 5%"
            raise errors.InvalidInput(
                f"`max_failures` {reason}.", errors=[("max_failures", reason)]
            )

    def count_failures(self, planned: int) -> int:
        """The number of failed tenants at which the run stops."""
        number = int(self.max_failures.removesuffix("%"))
        return max(1, planned * number // 100) if "%" in self.max_failures else number

    def as_json(self) -> dict[str, Any]:
        return asdict(self)
