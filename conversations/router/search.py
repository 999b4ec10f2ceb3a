"""Search over titles and messages."""

from django.http import HttpResponse
from ninja import Query

from conversations import schemas, service
from conversations.router.base import router
from tenants.auth import TenantRequest
from tenants.db.pagination import Page
from tenants.db.unit_of_work import read_session
from tenants.responses import json_response


@router.get("/search", response=Page[schemas.SearchHit])
async def search(request: TenantRequest, query: Query[schemas.SearchQuery]) -> HttpResponse:
    """Search the titles of conversations and the texts of messages; the best hits come first.

    Words are found as they are written, whatever their case, and by their stems in messages
    whose language is known.
    """
    async with read_session(request.auth.tenant) as session:
        page = await service.search(session, query)
    return json_response(page)
