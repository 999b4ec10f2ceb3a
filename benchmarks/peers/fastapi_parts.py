"""What both peers on FastAPI take from a request, as dependencies."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, HTTPException, Query, Request

from benchmarks.peers.place import find_schema
from benchmarks.peers.repeats import Keyed
from tenants.ids import find_id


def get_tenant(authorization: Annotated[str, Header()]) -> str:
    schema = find_schema(authorization.removeprefix("Bearer ").encode())
    if schema is None:
        raise HTTPException(401)
    return schema


Tenant = Annotated[str, Depends(get_tenant)]


def get_key(conversation_id: str) -> UUID:
    key = find_id("conv", conversation_id)
    if key is None:
        raise HTTPException(404)
    return key


ConversationKey = Annotated[UUID, Depends(get_key)]
Limit = Annotated[int, Query(ge=1, le=100)]


async def get_keyed(
    request: Request, tenant: Tenant, idempotency_key: Annotated[str | None, Header()] = None
) -> Keyed | None:
    if idempotency_key is None:
        return None
    return Keyed.of(tenant, idempotency_key.encode(), request.url.path, await request.body())


KeyedRequest = Annotated[Keyed | None, Depends(get_keyed)]
