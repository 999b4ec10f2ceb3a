"""What all peers know of their place: the stage, who may enter what, and how to connect."""

import os
from hashlib import sha256

import asyncpg

from benchmarks.stage import SERVICE_VARIABLE, Stage

stage = Stage.from_environment()
_schemas = {sha256(key.encode()).digest(): schema for key, schema in stage.tenants.items()}


def find_schema(key: bytes) -> str | None:
    """The tenant's schema and role, which have one name; None for an unknown API key."""
    return _schemas.get(sha256(key).digest())


async def connect() -> asyncpg.Connection:
    """A connection by whose name the benchmark finds its backend."""
    name = os.environ[SERVICE_VARIABLE]
    return await asyncpg.connect(stage.runtime_url, server_settings={"application_name": name})
