"""Tool calls."""

from django.http import HttpResponse
from ninja import Query

from conversations import schemas, service
from conversations.router.base import router
from conversations.router.retries import answer_once
from tenants.auth import TenantRequest
from tenants.db.pagination import Page
from tenants.db.unit_of_work import read_session
from tenants.responses import json_response


@router.get("/conversations/{conversation_id}/tool-calls", response=Page[schemas.PlacedToolCall])
async def list_tool_calls(
    request: TenantRequest, conversation_id: str, query: Query[schemas.ToolCallQuery]
) -> HttpResponse:
    """List tool calls in the order of the log; with `open=true` those that wait for a result."""
    async with read_session(request.auth.tenant) as session:
        page = await service.list_tool_calls(session, conversation_id, query)
    return json_response(page)


@router.post(
    "/conversations/{conversation_id}/tool-calls/{call_id}/result",
    response=schemas.PlacedToolCall,
)
async def report_result(
    request: TenantRequest, conversation_id: str, call_id: str, result: schemas.CallResult
) -> HttpResponse:
    """Report the output of a tool call, or the error that it failed with.

    call_id is the model provider's id. Repeating the same report is safe: it changes nothing and
    gets the same answer.
    """
    return await answer_once(
        request, lambda session: service.report_result(session, conversation_id, call_id, result)
    )
