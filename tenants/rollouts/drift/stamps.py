"""Where schemas stand, by what is written in each of them and by what is written of all.

`alembic_version` is another table in each schema, and a query that names hundreds of tables would
exhaust the server's stack. So a block reads one after the other, and hands over what it has found
in a setting that ends with the transaction.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ARRAY, Integer, Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from tenants.revisions import execute_script, lock_key
from tenants.tenant import TenantRef

# What is wrong with one schema's table, whatever it is, is said of that schema.
_READ_VERSIONS = """
DO $read$
DECLARE
    schema text;
    found text[];
    answers jsonb := '{}';
BEGIN
    FOREACH schema IN ARRAY ARRAY[%s]::text[] LOOP
        BEGIN
            EXECUTE format('SELECT array_agg(version_num) FROM %%I.alembic_version', schema)
                INTO found;
            answers := answers || jsonb_build_object(schema, coalesce(found, '{}'));
        EXCEPTION WHEN OTHERS THEN
            answers := answers || jsonb_build_object(schema, SQLERRM);
        END;
    END LOOP;
    PERFORM set_config('tenantry.versions', answers::text, true);
END $read$
"""
_VERSIONS = text("SELECT current_setting('tenantry.versions')")
_STAMPS = text(
    "SELECT tenant_id, module, revision FROM tenantry.tenant_stamps WHERE tenant_id = ANY (:ids)"
).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
_TRY_TO_HOLD = text(
    "SELECT id FROM unnest(:ids, :high, :low) AS keys (id, high, low) "
    "WHERE pg_try_advisory_xact_lock_shared(high, low)"
).bindparams(
    bindparam("ids", type_=ARRAY(Uuid)),
    bindparam("high", type_=ARRAY(Integer)),
    bindparam("low", type_=ARRAY(Integer)),
)
_HOLD = text("SELECT pg_advisory_xact_lock_shared(:high, :low)")


@dataclass(frozen=True, slots=True)
class Standing:
    """versions: rows of `alembic_version`, or why it can't be read. stamps: revision by module."""

    versions: list[str] | str
    stamps: dict[str, str]

    @property
    def mismatch(self) -> str:
        """How the two differ, in a sentence; empty if they don't."""
        if isinstance(self.versions, str):
            return f"alembic_version can't be read: {self.versions}"
        versions, stamped = sorted(self.versions), sorted(self.stamps.values())
        if versions == stamped:
            return ""
        return f"alembic_version has {versions}, tenant_stamps has {stamped}"


async def read_standings(
    connection: AsyncConnection, refs: Collection[TenantRef]
) -> dict[UUID, Standing]:
    """In the open transaction, which keeps a lock of the weakest kind on each version table."""
    schemas = ", ".join(f"'{ref.schema}'" for ref in refs)
    stamps: dict[UUID, dict[str, str]] = {ref.id: {} for ref in refs}
    for row in await connection.execute(_STAMPS, {"ids": list(stamps)}):
        stamps[row.tenant_id][row.module] = row.revision
    await execute_script(connection, _READ_VERSIONS % schemas)
    versions = json.loads((await connection.execute(_VERSIONS)).scalar_one())
    return {ref.id: Standing(versions[ref.schema], stamps[ref.id]) for ref in refs}


async def hold(connection: AsyncConnection, refs: Collection[TenantRef]) -> set[UUID]:
    """See to it that nobody changes these schemas before the transaction's end.

    Returns those for which that worked at once; the others are being changed.
    """
    keys = [lock_key(ref.id) for ref in refs]
    held = await connection.execute(
        _TRY_TO_HOLD,
        {
            "ids": [ref.id for ref in refs],
            "high": [key["high"] for key in keys],
            "low": [key["low"] for key in keys],
        },
    )
    return set(held.scalars())


async def wait_and_hold(connection: AsyncConnection, ref: TenantRef) -> None:
    """The same for one schema, once whoever is changing it has done so."""
    await connection.execute(_HOLD, lock_key(ref.id))
