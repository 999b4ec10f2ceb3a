"""A long conversation, and a large tenant: what a page of 50 takes, and an append.

One client asks for the first, the middle and the newest page of three conversations: a short one
in a small tenant, a short one in a large tenant, and the long one that makes that tenant large.
"""

import base64
from functools import partial
from statistics import median
from typing import Any

import orjson
import uvloop

from benchmarks import seed
from benchmarks.bench import Bench
from benchmarks.load import Result
from benchmarks.messages import PAGE_MESSAGES
from benchmarks.own.rounds import take_turns
from benchmarks.own.tenants import add_tenant
from benchmarks.pace import Connection
from benchmarks.scenarios import Target, read_page
from benchmarks.services import run_ours
from benchmarks.stage import connect_as_owner
from benchmarks.tables import Table
from tenants.ids import show_id

_SHORT_MESSAGES = 100
_LABELS = {
    "small": "short, in a small tenant",
    "large": "short, in a large tenant",
    "long": "long",
}
_PAGES = ("first", "middle", "newest")


def measure(bench: Bench) -> dict[str, Any]:
    """Medians over the rounds of each round's p50, in milliseconds."""
    length = bench.scale.long_messages
    small, large = add_tenant("small"), add_tenant("large")
    targets = uvloop.run(_fill(small, large, length))
    lengths = {name: length if name == "long" else _SHORT_MESSAGES for name in targets}
    with run_ours(bench.stage, bench.logs) as ours:

        def perform(scenario: str, target: Target, query: str, seconds: float) -> Result:
            return bench.perform(
                ours.port,
                scenario,
                {"page": [target], "log": [target]},
                seconds=seconds / 2,
                connections=1,
                query=query,
            )

        kinds = {}
        for name, target in targets.items():
            middle = uvloop.run(_find_middle(ours.port, target, lengths[name]))
            queries = {"first": "", "middle": f"&after={middle}", "newest": "&order=desc"}
            for page, query in queries.items():
                kinds[f"{name} {page}"] = partial(perform, "read", target, query)
            kinds[f"{name} append"] = partial(perform, "append", target, "")
        rounds = take_turns(bench, ours, kinds)
    found = {
        kind: median(result.p50_milliseconds for result, _ in each) for kind, each in rounds.items()
    }
    return {
        "messages": lengths,
        "p50_milliseconds": {
            name: {what: found[f"{name} {what}"] for what in (*_PAGES, "append")}
            for name in targets
        },
    }


async def _fill(small: tuple[str, str], large: tuple[str, str], length: int) -> dict[str, Target]:
    """small, large: API key and schema."""
    owner = await connect_as_owner()
    try:
        targets = {}
        for name, (key, schema), first, messages in (
            ("small", small, 1, _SHORT_MESSAGES),
            ("large", large, 1, _SHORT_MESSAGES),
            ("long", large, 2, length),
        ):
            (made,) = await seed.fill(
                owner, schema, conversations=1, messages=messages, first=first, words=12
            )
            targets[name] = (key, show_id("conv", made))
        for _, schema in (small, large):
            await seed.settle(owner, schema)
    finally:
        await owner.close()
    return targets


async def _find_middle(port: int, target: Target, length: int) -> str:
    """A cursor that leads to the middle: that of the first page, moved."""
    async with Connection(port) as connection:
        page = orjson.loads(await connection.ask(read_page(target)[0], 200))
    return move(page["next_cursor"], PAGE_MESSAGES, length // 2)


def move(cursor: str, position: int, to: int) -> str:
    """A cursor behind another position. Raises RuntimeError if it isn't behind `position`."""
    *rest, found = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    if found != position:
        raise RuntimeError(f"the cursor's last part is no position: {found}")
    return base64.urlsafe_b64encode(orjson.dumps([*rest, to])).rstrip(b"=").decode()


def tabulate(found: dict[str, Any]) -> Table:
    base = found["p50_milliseconds"]["small"]
    rows = []
    for name, label in _LABELS.items():
        figures = found["p50_milliseconds"][name]
        cells = []
        for what in (*_PAGES, "append"):
            compared = "" if name == "small" else f" ({figures[what] / base[what]:.2f})"
            cells.append(f"{figures[what]:.2f}{compared}")
        rows.append([label, f"{found['messages'][name]:,}", *cells])
    columns = ["a page of 50, p50 ms", "messages", *_PAGES, "an append"]
    notes = ["In parentheses: times the first row. One client."]
    return Table("long-conversation", columns, rows, notes)
