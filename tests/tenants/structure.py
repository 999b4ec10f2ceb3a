"""What a tenant's schema looks like, for comparing two of them."""

from tenants.lifecycle import owner_connection
from tenants.rollouts.drift.structure import read_lines


async def read_structure(tenant):
    """All that is in it but rows, without the names of schema and role."""
    async with owner_connection() as connection:
        return (await read_lines(connection, [tenant.ref.schema]))[tenant.ref.schema]
