"""Onboard tenants beside many others: how long it takes, and what the others notice.

`python -m benchmarks.onboarding [--tenants 5000] [--creations 200] [--json]`

Ours is asked over HTTP, once without spares and once with; django-tenants is called in its own
process, by its migrations and by its way of copying a schema, and so has no HTTP to pay for. All
take turns on one server, each beside as many tenants. Then requests of the tenant API come in at a
steady pace, while nobody is onboarded, while some are each second without spares, and with spares
that the server makes as they are used up.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import uvloop

from benchmarks import fleet
from benchmarks.django_tenants_peer.peer import Peer
from benchmarks.pace import Connection, Spread, keep_pace
from benchmarks.served import run_server
from benchmarks.stage import serve_database
from project.dev.postgres import EmbeddedPostgres
from project.dev.settings import ENV_PREFIX

_ROUNDS = 10
# Tenants whose requests come in, their pace, and how many are onboarded meanwhile.
_CALLERS = 100
_REQUESTS_PER_SECOND = 150.0
_CREATIONS_PER_SECOND = 5.0
_SPARES = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.onboarding", description=__doc__)
    parser.add_argument("--tenants", type=int, default=500, help="those that are there before")
    parser.add_argument("--creations", type=int, default=200, help="of each kind")
    parser.add_argument("--seconds", type=float, default=20.0, help="of requests, of each kind")
    parser.add_argument("--json", action="store_true", help="one line of JSON at the end")
    options = parser.parse_args()
    with ExitStack() as stack:
        stack.enter_context(serve_database())
        logs = Path(stack.enter_context(TemporaryDirectory(prefix="tenantry-bench-logs-")))
        server = EmbeddedPostgres(Path(os.environ[f"{ENV_PREFIX}DATA_DIR"]) / "postgres")
        superuser_url = server.start()
        stack.callback(server.stop)
        stage = Stage(logs / "server.log")
        fleet.grow(superuser_url, max(options.tenants - _CALLERS, 0))
        with Peer(superuser_url, [fleet.render_tables()]) as peer:
            peer.create(["template"])
            peer.seed("template", [f"crowd_{number}" for number in range(options.tenants - 1)])
            creating = stage.measure_creations(peer, options.creations)
        summary = {
            "tenants": options.tenants,
            "onboarding": creating,
            "requests": stage.measure_requests(options.seconds),
        }
    print(render(summary))
    if options.json:
        print(orjson.dumps(summary).decode())


class Stage:
    """An operator who onboards, and tenants who send requests meanwhile. log: our server's."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._created = 0
        self._operator, self._requests = fleet.in_process(self._onboard_callers)

    def measure_creations(self, peer: Peer, creations: int) -> dict[str, Any]:
        """What a creation takes, by kind; the kinds take turns.

        The peer has a tenant `template`.
        """
        found: dict[str, list[float]] = {"cold": [], "warm": [], "migrated": [], "copied": []}
        each = creations // _ROUNDS
        with self._serve(spares=0) as port:
            for turn in range(_ROUNDS):
                found["cold"] += uvloop.run(self._create(port, each))
                _fill(each)
                found["warm"] += uvloop.run(self._create(port, each))
                for kind, template in (("migrated", None), ("copied", "template")):
                    peer.restart(template)
                    # The first pays for what a process loads only once.
                    names = [f"{kind}_{turn}_{number}" for number in range(each + 1)]
                    found[kind] += peer.create(names)[1:]
        return {name: vars(Spread.of(each)) for name, each in found.items()}

    def measure_requests(self, seconds: float) -> dict[str, Any]:
        """What requests take, while nobody is onboarded, and while some are."""
        found = {}
        for name, spares, creations in (
            ("alone", 0, 0.0),
            ("cold", 0, _CREATIONS_PER_SECOND),
            ("warm", _SPARES, _CREATIONS_PER_SECOND),
        ):
            with self._serve(spares) as port:
                _fill(spares)
                taken, made = uvloop.run(self._perform(port, seconds, creations))
                found[name] = {**vars(Spread.of(taken)), "onboarded": made}
        return found

    async def _perform(
        self, port: int, seconds: float, creations: float
    ) -> tuple[list[float], int]:
        warmed_up = asyncio.Event()
        asyncio.get_running_loop().call_later(2.0, warmed_up.set)
        await keep_pace(port, self._requests, _REQUESTS_PER_SECOND, warmed_up)
        ended = asyncio.Event()
        before = self._created
        async with asyncio.TaskGroup() as group:
            pacing = group.create_task(keep_pace(port, self._requests, _REQUESTS_PER_SECOND, ended))
            if creations:
                await self._create(port, round(seconds * creations), per_second=creations)
            else:
                await asyncio.sleep(seconds)
            ended.set()
        return pacing.result(), self._created - before

    async def _create(self, port: int, count: int, per_second: float = float("inf")) -> list[float]:
        seconds = []
        due_at = time.perf_counter()
        async with Connection(port) as connection:
            for _ in range(count):
                await asyncio.sleep(due_at - time.perf_counter())
                self._created += 1
                body = orjson.dumps({"slug": f"new-{self._created}", "name": "New"})
                started_at = time.perf_counter()
                await connection.ask(
                    b"POST /api/admin/v1/tenants HTTP/1.1\r\nhost: localhost\r\n"
                    b"authorization: Bearer %b\r\ncontent-type: application/json\r\n"
                    b"content-length: %d\r\n\r\n%b" % (self._operator, len(body), body),
                    201,
                )
                seconds.append(time.perf_counter() - started_at)
                due_at += 1 / per_second
        return seconds

    @contextmanager
    def _serve(self, spares: int) -> Iterator[int]:
        with run_server(self._log, SPARES=spares) as port:
            uvloop.run(self._create(port, 5))  # The first pay for what a process loads only once.
            yield port

    async def _onboard_callers(self) -> tuple[bytes, list[bytes]]:
        """An operator's key, and a request of each caller."""
        from conversations import schemas, service
        from tenants import lifecycle
        from tenants.actor import acting_command
        from tenants.db.unit_of_work import write_session

        by = acting_command()
        operator = await lifecycle.create_operator("Benchmark", by=by)
        requests = []
        for number in range(_CALLERS):
            made = await lifecycle.create_tenant(f"caller-{number}", "Caller", by=by)
            new = schemas.NewConversation(title="Hello", messages=[])
            async with write_session(made.tenant.ref) as session:
                for _ in range(10):
                    await service.start_conversation(session, new)
            requests.append(
                b"GET /api/v1/conversations?limit=10 HTTP/1.1\r\nhost: localhost\r\n"
                b"authorization: Bearer %b\r\n\r\n" % made.key.text.encode()
            )
        return operator.text.encode(), requests


def _fill(count: int) -> None:
    from tenants import lifecycle

    fleet.in_process(lambda: lifecycle.fill_spares(count))


def render(summary: dict[str, Any]) -> str:
    lines = [render_creations(summary["onboarding"], summary["tenants"])]
    lines += ["", f"{'requests of the tenant API':<34}{'p50 ms':>10}{'p99 ms':>10}"]
    for name, each in summary["requests"].items():
        label = "while nobody is onboarded"
        if name != "alone":
            label = f"while {_CREATIONS_PER_SECOND:.0f} a second are, {name}"
        lines.append(f"  {label:<32}{each['p50']:>10.1f}{each['p99']:>10.1f}")
    return "\n".join(lines)


def render_creations(creations: dict[str, Any], tenants: int) -> str:
    names = {
        "cold": "ours without spares",
        "warm": "ours with spares",
        "migrated": "django-tenants",
        "copied": "django-tenants, copied",
    }
    lines = [f"{f'onboarding, beside {tenants:,}':<34}{'p50 ms':>10}{'p99 ms':>10}"]
    for name, label in names.items():
        each = creations[name]
        lines.append(f"  {label:<32}{each['p50']:>10.1f}{each['p99']:>10.1f}")
    for name in ("cold", "migrated", "copied"):
        ratio = creations[name]["p50"] / creations["warm"]["p50"]
        lines.append(f"  {names[name] + ' / with spares':<42}{ratio:>10.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
