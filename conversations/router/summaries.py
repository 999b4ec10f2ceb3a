"""Summaries."""

from django.http import HttpResponse
from ninja import Query

from conversations import schemas, service
from conversations.router.base import router
from conversations.router.retries import answer_once
from tenants.auth import TenantRequest
from tenants.db.pagination import Page
from tenants.db.unit_of_work import read_session, write_session
from tenants.responses import json_response


@router.post("/conversations/{conversation_id}/summaries", response={201: schemas.Summary})
async def add_summary(
    request: TenantRequest, conversation_id: str, new: schemas.NewSummary
) -> HttpResponse:
    """Keep a summary of the messages from one position to another, both included."""
    return await answer_once(
        request, lambda session: service.add_summary(session, conversation_id, new), 201
    )


@router.get("/conversations/{conversation_id}/summaries", response=Page[schemas.Summary])
async def list_summaries(
    request: TenantRequest, conversation_id: str, query: Query[schemas.SummaryQuery]
) -> HttpResponse:
    """List summaries by how far they reach."""
    async with read_session(request.auth.tenant) as session:
        page = await service.list_summaries(session, conversation_id, query)
    return json_response(page)


@router.delete("/conversations/{conversation_id}/summaries/{summary_id}", response={204: None})
async def delete_summary(
    request: TenantRequest, conversation_id: str, summary_id: str
) -> HttpResponse:
    """Delete a summary."""
    async with write_session(request.auth.tenant) as session:
        await service.delete_summary(session, conversation_id, summary_id)
    return HttpResponse(status=204)
