"""Erasing for good, and the receipts."""

from http import HTTPStatus

from django.http import HttpResponse
from ninja import Query

from conversations import schemas, service
from conversations.router.base import router
from tenants.auth import TenantRequest
from tenants.db.pagination import Page
from tenants.db.unit_of_work import read_session, write_session
from tenants.responses import json_response
from tenants.storage import TenantFiles

_RECEIPT = {200: schemas.Erasure, 202: schemas.Erasure}


@router.post("/conversations/{conversation_id}/erase", response=_RECEIPT)
async def erase_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Erase a conversation for good, deleted or not, with all that belongs to it.

    The answer is a receipt: with 200 all is gone; with 202 it is hidden, and goes by and by.
    """
    async with write_session(request.auth.tenant) as session:
        erasure = await service.begin_conversation_erasure(
            session, conversation_id, request.auth.id
        )
    return await _carry_on(request, erasure)


@router.post("/users/{path:user_id}/erase", response=_RECEIPT)
async def erase_user(request: TenantRequest, user_id: str) -> HttpResponse:
    """Erase everything of an end user for good: conversations, their forks, files and feedback.

    The answer is a receipt, as for a conversation. Conversations under legal hold are kept and
    named in it. Repeating it is safe: it carries on what is unfinished.
    """
    async with write_session(request.auth.tenant) as session:
        erasure = await service.begin_user_erasure(session, user_id, request.auth.id)
    return await _carry_on(request, erasure)


@router.get("/erasures", response=Page[schemas.Erasure])
async def list_erasures(request: TenantRequest, query: Query[schemas.ErasureQuery]) -> HttpResponse:
    """List the receipts of erasures, the newest first."""
    async with read_session(request.auth.tenant) as session:
        page = await service.list_erasures(session, query)
    return json_response(page)


@router.get("/erasures/{erasure_id}", response=schemas.Erasure)
async def get_erasure(request: TenantRequest, erasure_id: str) -> HttpResponse:
    """Get the receipt of an erasure."""
    async with read_session(request.auth.tenant) as session:
        erasure = await service.get_erasure(session, erasure_id)
    return json_response(erasure)


async def _carry_on(request: TenantRequest, begun: schemas.Erasure) -> HttpResponse:
    tenant = request.auth.tenant
    erasure = await service.carry_on(tenant, TenantFiles(tenant), begun)
    is_done = erasure["status"] == "completed"
    return json_response(erasure, HTTPStatus.OK if is_done else HTTPStatus.ACCEPTED)
