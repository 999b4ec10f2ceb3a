"""Looks at every schema of the fleet, and says of each that isn't as its stamps say what is wrong.

Digests are compared first, so that a fleet without drift is soon done with. What seems to have
drifted is looked at again, while nobody can change it: a rollout may have been at it just then.
What a revision does outside a transaction can be seen half done all the same, such as an index that
is being built.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.apps import get_settings
from tenants.lifecycle import owner_connection
from tenants.modules import get_modules
from tenants.revisions import ensure_fleet_tables, get_head
from tenants.rollouts.drift.differences import describe_differences
from tenants.rollouts.drift.reference import Reference, References
from tenants.rollouts.drift.stamps import Standing, hold, read_standings, wait_and_hold
from tenants.rollouts.drift.structure import read_digests, read_lines
from tenants.rollouts.fleet import Vessel, read_fleet
from tenants.rollouts.wire import Wire

# Schemas that are read in one transaction, which locks two relations of each: few enough for the
# server's lock table, which has room for 6,400 if nobody has changed its settings.
_BATCH = 250
_CONNECTIONS = 4


@dataclass(frozen=True, slots=True)
class Drift:
    """A schema that isn't as its stamps say. slug: empty for a spare's.

    differences: sentences without a period, such as "table notes: column body is missing".
    """

    slug: str
    schema: str
    differences: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.slug or self.schema


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How many schemas were looked at, have drifted, and are not at the heads of their modules."""

    checked: int
    drifted: int
    behind: int
    seconds: float


async def check_fleet(
    report: Callable[[Drift], None], slugs: Collection[str] | None = None
) -> CheckResult:
    """Compare the schemas of these tenants, or of all and the spares, with their revisions.

    report: told of each schema that has drifted, as it is found. Being behind is no drift: a
    schema is compared with what its stamps say. Changes nothing.
    Raises TenantNotFound (404), BrokenRevision (422), DatabaseUnavailable (503).
    """
    started_at = time.monotonic()
    async with owner_connection() as connection:
        await ensure_fleet_tables(connection)
    fleet = await _read_fleet(slugs)
    check = _Check(report)
    batches = iter([fleet[at : at + _BATCH] for at in range(0, len(fleet), _BATCH)])
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_CONNECTIONS):
                group.create_task(check.work_off(batches))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return CheckResult(check.checked, check.drifted, check.behind, time.monotonic() - started_at)


class _Check:
    """One run: what it has found so far."""

    def __init__(self, report: Callable[[Drift], None]) -> None:
        self._report = report
        self._references = References()
        self._heads = {module.name: get_head(module) for module in get_modules()}
        self.checked = self.drifted = self.behind = 0

    async def work_off(self, batches: Iterator[Sequence[Vessel]]) -> None:
        for batch in batches:
            suspects = await self._find_suspects(batch)
            if suspects:
                await self._examine(suspects)
            self.checked += len(batch)

    async def _find_suspects(self, batch: Sequence[Vessel]) -> list[Vessel]:
        """Those whose stamps or digest aren't as they should be."""
        async with owner_connection() as connection:
            digests = await read_digests(connection, [vessel.ref.schema for vessel in batch])
            standings = await read_standings(connection, [vessel.ref for vessel in batch])
        suspects = []
        for vessel in batch:
            standing = standings[vessel.ref.id]
            reference = await self._references.find(standing.stamps)
            self.behind += self._is_behind(vessel, standing)
            if (
                standing.mismatch
                or reference.unknown
                or digests.get(vessel.ref.schema) != reference.digest
            ):
                suspects.append(vessel)
        return suspects

    def _is_behind(self, vessel: Vessel, standing: Standing) -> bool:
        return any(
            name in vessel.ref.modules and standing.stamps.get(name) != head
            for name, head in self._heads.items()
        )

    async def _examine(self, suspects: Sequence[Vessel]) -> None:
        """Report those that have drifted indeed; one that is being changed, afterwards."""
        async with owner_connection() as connection:
            held = await hold(connection, [vessel.ref for vessel in suspects])
            still = [vessel for vessel in suspects if vessel.ref.id in held]
            await self._compare(connection, still)
        for vessel in suspects:
            if vessel.ref.id not in held:
                async with owner_connection() as connection:
                    await wait_and_hold(connection, vessel.ref)
                    await self._compare(connection, [vessel])

    async def _compare(self, connection: AsyncConnection, vessels: Sequence[Vessel]) -> None:
        found = await read_lines(connection, [vessel.ref.schema for vessel in vessels])
        standings = await read_standings(connection, [vessel.ref for vessel in vessels])
        if len(found) < len(vessels):
            # A tenant may have been erased since the fleet was read, or a spare dropped.
            living = {vessel.ref.id for vessel in await _read_fleet(None)}
            vessels = [vessel for vessel in vessels if vessel.ref.id in living]
        for vessel in vessels:
            ref, standing = vessel.ref, standings[vessel.ref.id]
            reference = await self._references.find(standing.stamps)
            differences = _describe(found.get(ref.schema), standing, reference)
            if differences:
                self.drifted += 1
                self._report(Drift(ref.slug, ref.schema, differences))


def _describe(
    lines: frozenset[str] | None, standing: Standing, reference: Reference
) -> tuple[str, ...]:
    if lines is None:
        return ("schema is missing",)
    stamps = (standing.mismatch,) if standing.mismatch else ()
    return stamps + (reference.unknown or describe_differences(lines, reference.lines))


async def _read_fleet(slugs: Collection[str] | None) -> list[Vessel]:
    wire = Wire(get_settings())
    try:
        return await read_fleet(wire, slugs)
    finally:
        await wire.close()
