"""Tenants for a benchmark: one, or a fleet of them with their keys and a conversation each."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import asyncpg
import psycopg
from asgiref.sync import async_to_sync

from benchmarks import fleet, seed
from benchmarks.messages import SHORT_PAGE_MESSAGES
from benchmarks.stage import connect_as_owner

if TYPE_CHECKING:  # Models can't be imported before Django is set up.
    from tenants.models import Tenant

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
    """An API key of each tenant of a fleet, and a new conversation."""
    from tenants.keys import generate_key
    from tenants.models import ApiKey

    tenants = grow_fleet(superuser_url, count)
    keys = [generate_key() for _ in tenants]
    ApiKey.objects.bulk_create(
        [
            ApiKey(
                public_id=key.public_id,
                secret_hash=key.secret_hash,
                tenant=tenant,
                name="Benchmark",
                scopes=["read", "write"],
            )
            for tenant, key in zip(tenants, keys, strict=True)
        ],
        batch_size=1000,
    )
    made = add_conversations(superuser_url, tenants)
    return [(key.text, conversation) for key, conversation in zip(keys, made, strict=True)]


def grow_fleet(superuser_url: str, count: int) -> "list[Tenant]":
    """Add as many tenants as are missing. Returns so many."""
    from tenants.models import Tenant

    crowd = Tenant.objects.filter(slug__startswith="crowd-").order_by("id")
    fleet.grow(superuser_url, max(count - crowd.count(), 0))
    return list(crowd[:count])


def add_conversations(
    superuser_url: str, tenants: "Sequence[Tenant]", number: int = 1
) -> list[UUID]:
    """A conversation for each, on a database that has nothing left to do.

    number: one that no other of their conversations has.
    """
    made = async_to_sync(_fill)([tenant.ref.schema for tenant in tenants], number)
    _settle(superuser_url)
    return made


def _settle(superuser_url: str) -> None:
    with psycopg.connect(superuser_url, dbname="tenantry", autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


async def _fill(schemas: list[str], number: int) -> list[UUID]:
    owner = await connect_as_owner()
    try:
        return [await _fill_one(owner, schema, number) for schema in schemas]
    finally:
        await owner.close()


async def _fill_one(owner: asyncpg.Connection, schema: str, number: int) -> UUID:
    (made,) = await seed.fill(
        owner, schema, conversations=1, messages=MESSAGES, calls=CALLS, first=number
    )
    return made
