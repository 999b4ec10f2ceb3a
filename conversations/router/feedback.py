"""Feedback on messages."""

from django.http import HttpResponse
from ninja import Query

from conversations import schemas, service
from conversations.router.base import router
from tenants.auth import TenantRequest
from tenants.db.pagination import Page
from tenants.db.unit_of_work import read_session, write_session
from tenants.responses import json_response

_OF_MESSAGE = "/conversations/{conversation_id}/messages/{message_id}/feedback"


@router.put(_OF_MESSAGE, response=schemas.Feedback)
async def give_feedback(
    request: TenantRequest, conversation_id: str, message_id: str, given: schemas.GivenFeedback
) -> HttpResponse:
    """Say what an author thinks of a message, instead of what that author said before."""
    async with write_session(request.auth.tenant) as session:
        feedback = await service.give_feedback(session, conversation_id, message_id, given)
    return json_response(feedback)


@router.get(_OF_MESSAGE, response=Page[schemas.Feedback])
async def list_message_feedback(
    request: TenantRequest,
    conversation_id: str,
    message_id: str,
    query: Query[schemas.FeedbackQuery],
) -> HttpResponse:
    """List what authors think of a message, the first to say it first."""
    async with read_session(request.auth.tenant) as session:
        page = await service.list_message_feedback(session, conversation_id, message_id, query)
    return json_response(page)


@router.delete(f"{_OF_MESSAGE}/{{feedback_id}}", response={204: None})
async def withdraw_feedback(
    request: TenantRequest, conversation_id: str, message_id: str, feedback_id: str
) -> HttpResponse:
    """Remove what an author thinks of a message."""
    async with write_session(request.auth.tenant) as session:
        await service.withdraw_feedback(session, conversation_id, message_id, feedback_id)
    return HttpResponse(status=204)


@router.get("/conversations/{conversation_id}/feedback", response=Page[schemas.Feedback])
async def list_conversation_feedback(
    request: TenantRequest, conversation_id: str, query: Query[schemas.FeedbackQuery]
) -> HttpResponse:
    """List the feedback on all messages, in the order of the log."""
    async with read_session(request.auth.tenant) as session:
        page = await service.list_conversation_feedback(session, conversation_id, query)
    return json_response(page)
