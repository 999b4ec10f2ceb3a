"""Tenants for a benchmark: one, or a fleet of them with their keys and a conversation each."""

from uuid import UUID

import asyncpg
from asgiref.sync import async_to_sync

from benchmarks import fleet, seed
from benchmarks.messages import SHORT_PAGE_MESSAGES
from benchmarks.stage import connect_as_owner

# Of the conversation that each tenant of the fleet has.
MESSAGES, CALLS = SHORT_PAGE_MESSAGES, 2


def add_tenant(slug: str) -> tuple[str, str]:
    """Its API key and its schema."""

    async def create() -> tuple[str, str]:
        from tenants import lifecycle
        from tenants.actor import acting_command

        made = await lifecycle.create_tenant(slug, slug.capitalize(), by=acting_command())
        return made.key.text, made.tenant.ref.schema

    return fleet.in_process(create)


def add_fleet(superuser_url: str, count: int) -> list[tuple[str, UUID]]:
    """Each tenant's API key, and its conversation."""
    from tenants.keys import generate_key
    from tenants.models import ApiKey, Tenant

    fleet.grow(superuser_url, count)
    crowd = list(Tenant.objects.filter(slug__startswith="crowd-").order_by("id"))
    keys = [generate_key() for _ in crowd]
    ApiKey.objects.bulk_create(
        [
            ApiKey(
                public_id=key.public_id,
                secret_hash=key.secret_hash,
                tenant=tenant,
                name="Benchmark",
                scopes=["read", "write"],
            )
            for tenant, key in zip(crowd, keys, strict=True)
        ],
        batch_size=1000,
    )
    made = async_to_sync(_fill)([tenant.ref.schema for tenant in crowd])
    return [(key.text, conversation) for key, conversation in zip(keys, made, strict=True)]


async def _fill(schemas: list[str]) -> list[UUID]:
    owner = await connect_as_owner()
    try:
        return [await _fill_one(owner, schema) for schema in schemas]
    finally:
        await owner.close()


async def _fill_one(owner: asyncpg.Connection, schema: str) -> UUID:
    (made,) = await seed.fill(owner, schema, conversations=1, messages=MESSAGES, calls=CALLS)
    return made
