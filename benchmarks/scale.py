"""How much is measured: all of it, or enough to see that it works."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """rounds, seconds: of each scenario against the peers. own_rounds, own_seconds: of the others.

    tenants: of the many. long_messages: in the long conversation. pace_seconds: at half load.
    processes: the most. onboarding: creations of each kind, beside as many tenants as the second.
    """

    rounds: int
    seconds: float
    own_rounds: int
    own_seconds: float
    tenants: int
    long_messages: int
    pace_seconds: float
    processes: int
    starts: int
    onboarding: tuple[int, int]


FULL = Scale(
    rounds=7,
    seconds=2.5,
    own_rounds=5,
    own_seconds=2.5,
    tenants=5_000,
    long_messages=1_000_000,
    pace_seconds=15.0,
    processes=4,
    starts=5,
    onboarding=(100, 500),
)
QUICK = Scale(
    rounds=4,
    seconds=1.0,
    own_rounds=2,
    own_seconds=1.0,
    tenants=200,
    long_messages=20_000,
    pace_seconds=3.0,
    processes=2,
    starts=2,
    onboarding=(10, 30),
)
WARM_UP_SECONDS = 0.7
CONNECTIONS = 16
