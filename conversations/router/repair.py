"""Check and repair."""

from django.http import HttpResponse

from conversations import schemas, service
from conversations.router.base import router
from conversations.router.retries import answer_once
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import read_session
from tenants.responses import json_response


@router.get("/conversations/{conversation_id}/check", response=schemas.Check)
async def check_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Look for what is wrong in a conversation; it reads all of its messages.

    Overdue calls, calls and outputs without each other, missing positions, wrong counts.
    """
    async with read_session(request.auth.tenant) as session:
        found = await service.check_conversation(session, conversation_id)
    return json_response(found)


@router.post("/conversations/{conversation_id}/repair", response=schemas.Repair)
async def repair_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Mend what a check finds. Where nothing is wrong, nothing is changed."""
    return await answer_once(
        request, lambda session: service.repair_conversation(session, conversation_id)
    )
