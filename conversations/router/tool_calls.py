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

_CALLS = "/conversations/{conversation_id}/tool-calls"
_ONE = f"{_CALLS}/{{call_id}}"


@router.get(_CALLS, response=Page[schemas.PlacedToolCall])
async def list_tool_calls(
    request: TenantRequest, conversation_id: str, query: Query[schemas.ToolCallQuery]
) -> HttpResponse:
    """List tool calls in the order of the log; with `open=true` those that wait for a result."""
    async with read_session(request.auth.tenant) as session:
        page = await service.list_tool_calls(session, conversation_id, query)
    return json_response(page)


@router.get(_ONE, response=schemas.PlacedToolCall)
async def get_tool_call(request: TenantRequest, conversation_id: str, call_id: str) -> HttpResponse:
    """Get a tool call. call_id is the model provider's id."""
    async with read_session(request.auth.tenant) as session:
        call = await service.get_tool_call(session, conversation_id, call_id)
    return json_response(call)


@router.post(f"{_ONE}/start", response=schemas.PlacedToolCall)
async def start_call(request: TenantRequest, conversation_id: str, call_id: str) -> HttpResponse:
    """Begin an attempt at a tool call. One that is running is attempted once more."""
    return await answer_once(
        request, lambda session: service.start_call(session, conversation_id, call_id)
    )


@router.post(f"{_ONE}/approve", response=schemas.PlacedToolCall)
async def approve_call(
    request: TenantRequest, conversation_id: str, call_id: str, decision: schemas.Decision
) -> HttpResponse:
    """Let a tool call that awaits approval be started. Repeating the same approval is safe."""
    return await answer_once(
        request, lambda session: service.approve_call(session, conversation_id, call_id, decision)
    )


@router.post(f"{_ONE}/deny", response=schemas.PlacedToolCall)
async def deny_call(
    request: TenantRequest, conversation_id: str, call_id: str, decision: schemas.Decision
) -> HttpResponse:
    """Close a tool call that awaits approval, with an output that says that it was denied.

    Repeating the same denial is safe.
    """
    return await answer_once(
        request, lambda session: service.deny_call(session, conversation_id, call_id, decision)
    )


@router.post(f"{_ONE}/cancel", response=schemas.PlacedToolCall)
async def cancel_call(
    request: TenantRequest, conversation_id: str, call_id: str, cancellation: schemas.Cancellation
) -> HttpResponse:
    """Close an open tool call, with an output that says that it was cancelled.

    Repeating the same cancellation is safe.
    """
    return await answer_once(
        request,
        lambda session: service.cancel_call(session, conversation_id, call_id, cancellation),
    )


@router.post(f"{_ONE}/result", response=schemas.PlacedToolCall)
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
