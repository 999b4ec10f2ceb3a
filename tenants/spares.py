"""Spares: schemas that are made ahead, each with its role, for tenants to come.

Making a schema takes tens of milliseconds, and a grant to the runtime login costs every open
backend time, the more so the more roles there are. So spares are made in batches, with one grant
for all of a batch, and a new tenant takes one over: it gets the spare's id.

A spare is all that a tenant has in the tenants' database, and a row in `tenantry.spares`. Rollouts
carry it as they carry tenants. The functions here work in an open transaction of an owner
connection; `tenants.lifecycle.stock` keeps a number of spares ready.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants import schemas
from tenants.ids import new_id
from tenants.module import Module
from tenants.modules import get_modules
from tenants.revisions import get_head, list_line, migrate_schema
from tenants.tenant import TenantRef

# For whoever wants exactly these modules. A spare that a newer release has carried further is left
# for it: this one couldn't tell where the schema stands.
_IS_READY = """
modules = CAST(:modules AS text[])
AND to_regnamespace('t_' || replace(CAST(id AS text), '-', '')) IS NOT NULL
AND NOT EXISTS (
    SELECT FROM tenantry.tenant_stamps s
    WHERE s.tenant_id = spares.id AND s.revision <> ALL (CAST(:revisions AS text[])))
"""
_TAKE = text(
    "DELETE FROM tenantry.spares WHERE id = "  # noqa: S608
    f"(SELECT id FROM tenantry.spares WHERE {_IS_READY} ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
    " RETURNING id, ARRAY(SELECT revision FROM tenantry.tenant_stamps WHERE tenant_id = spares.id)"
    " AS revisions"
)
# The array makes sure that rows are chosen once; a join might choose again, and take more.
_TAKE_ANY = text(
    "DELETE FROM tenantry.spares WHERE id = ANY (ARRAY(SELECT id FROM tenantry.spares "
    "ORDER BY id LIMIT :count FOR UPDATE SKIP LOCKED)) RETURNING id"
)
_COUNT = text(
    f"SELECT count(*) FILTER (WHERE {_IS_READY}) AS ready, count(*) AS listed "  # noqa: S608
    "FROM tenantry.spares"
)
_LIST = text(
    "INSERT INTO tenantry.spares (id, modules) "
    "SELECT unnest(CAST(:ids AS uuid[])), CAST(:modules AS text[])"
)
_UNLIST = text("DELETE FROM tenantry.spares WHERE id = :id")


@dataclass(frozen=True, slots=True)
class Spare:
    """current: whether it is at the heads of its modules."""

    id: UUID
    current: bool


async def take_spare(connection: AsyncConnection, modules: Sequence[Module]) -> Spare | None:
    """A spare with exactly these modules, off the list; None if there is none.

    Others don't get it meanwhile, and may if the transaction is rolled back.
    """
    row = (await connection.execute(_TAKE, _describe(modules))).one_or_none()
    if row is None:
        return None
    # The driver's UUID is a subclass, which not every library takes for one.
    return Spare(UUID(int=row.id.int), set(row.revisions) == _heads(modules))


async def take_any_spares(connection: AsyncConnection, count: int) -> list[UUID]:
    """Up to so many, whatever they are like, off the list."""
    taken = await connection.execute(_TAKE_ANY, {"count": count})
    return [UUID(int=spare.int) for spare in taken.scalars()]


async def list_spares(
    connection: AsyncConnection, ids: Sequence[UUID], modules: Sequence[Module]
) -> None:
    """Put schemas with these modules, of which no tenant has any, on the list."""
    names = [module.name for module in modules]
    await connection.execute(_LIST, {"ids": ids, "modules": names})


async def unlist_spare(connection: AsyncConnection, spare: UUID) -> None:
    """Take this one off the list, if it is there."""
    await connection.execute(_UNLIST, {"id": spare})


async def count_spares(connection: AsyncConnection) -> tuple[int, int]:
    """How many are ready for a tenant with all modules, and how many there are altogether."""
    row = (await connection.execute(_COUNT, _describe(get_modules()))).one()
    return row.ready, row.listed


async def add_spares(connection: AsyncConnection, count: int) -> None:
    """Make spares with all modules, at their heads."""
    made = [TenantRef(new_id(), "") for _ in range(count)]
    await schemas.create_schemas(connection, made)
    for spare in made:
        await migrate_schema(connection, spare, get_modules())
    await list_spares(connection, [spare.id for spare in made], get_modules())


def _describe(modules: Sequence[Module]) -> dict[str, Any]:
    known = [script.revision for module in get_modules() for script in list_line(module)]
    return {"modules": [module.name for module in modules], "revisions": known}


def _heads(modules: Sequence[Module]) -> set[str]:
    return {head for module in modules if (head := get_head(module)) is not None}
