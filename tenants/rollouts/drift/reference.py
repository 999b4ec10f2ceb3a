"""What schemas should look like where their stamps say they are, found out by making it so.

A module's revisions are replayed up to the stamp in a scratch schema, in a transaction that is
rolled back: nothing of it is ever committed, and nobody else sees it. Modules touch no tables but
their own, so what a schema should hold is what each of its modules makes, and it takes one scratch
schema per module and revision, however modules and revisions are mixed in the fleet.
"""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from tenants import schemas
from tenants.errors import BrokenRevision, InvalidInput
from tenants.lifecycle import owner_connection
from tenants.modules import get_module
from tenants.revisions import Segment, plan_segments, run_segments
from tenants.rollouts.drift.structure import make_digest, read_lines
from tenants.tenant import TenantRef


@dataclass(frozen=True, slots=True)
class Reference:
    """unknown: why it can't be told what a schema should hold; empty if it can."""

    lines: frozenset[str]
    digest: str
    unknown: tuple[str, ...]


class References:
    """The references that were asked for; each is made once."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str] | None, frozenset[str]] = {}
        self._wholes: dict[frozenset[tuple[str, str]], Reference] = {}
        self._making = asyncio.Lock()

    async def find(self, stamps: Mapping[str, str]) -> Reference:
        """What a schema with these stamps, revision by module, should hold.

        Raises BrokenRevision (422), and what a revision itself raises.
        """
        key = frozenset(stamps.items())
        async with self._making:
            if key not in self._wholes:
                self._wholes[key] = await self._make(stamps)
        return self._wholes[key]

    async def _make(self, stamps: Mapping[str, str]) -> Reference:
        lines, unknown = await self._find_part(None, ()), []
        for module, revision in sorted(stamps.items()):
            try:
                segments = plan_segments(get_module(module), None, revision)
            except BrokenRevision:
                raise
            except InvalidInput as error:
                unknown.append(error.detail.removesuffix("."))
            else:
                lines |= await self._find_part((module, revision), segments)
        return Reference(lines, make_digest(lines), tuple(unknown))

    async def _find_part(
        self, key: tuple[str, str] | None, segments: tuple[Segment, ...]
    ) -> frozenset[str]:
        if key not in self._parts:
            self._parts[key] = await _replay(segments)
        return self._parts[key]


async def _replay(segments: tuple[Segment, ...]) -> frozenset[str]:
    """The lines of a new schema to which these segments were carried."""
    scratch = TenantRef(UUID(bytes=secrets.token_bytes(16)), "scratch")
    async with owner_connection() as connection:
        await schemas.create_schema(connection, scratch)
        await run_segments(connection, scratch, segments)
        return (await read_lines(connection, [scratch.schema]))[scratch.schema]
