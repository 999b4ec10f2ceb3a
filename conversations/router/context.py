"""The context."""

from django.http import HttpResponse
from ninja import Query

from conversations import schemas, service
from conversations.router.base import router
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import read_session
from tenants.responses import json_response


@router.get("/conversations/{conversation_id}/context", response=schemas.Context)
async def get_context(
    request: TenantRequest, conversation_id: str, query: Query[schemas.ContextQuery]
) -> HttpResponse:
    """Get the newest part of the history that fits a budget of tokens, ready for a model.

    A call and its output are never parted. Messages of the roles system and developer are always
    in it; where others are left out, so is the summary that reaches furthest.
    """
    async with read_session(request.auth.tenant) as session:
        context = await service.build_context(session, conversation_id, query)
    return json_response(context)
