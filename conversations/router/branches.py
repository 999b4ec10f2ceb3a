"""Forks, edits, and the tree that they make."""

from django.http import HttpResponse
from ninja import Query

from conversations import schemas, service
from conversations.router.base import router
from conversations.router.retries import answer_once
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import read_session
from tenants.responses import json_response


@router.post("/conversations/{conversation_id}/forks", response={201: schemas.Conversation})
async def fork_conversation(
    request: TenantRequest, conversation_id: str, new: schemas.NewFork
) -> HttpResponse:
    """Start a conversation that has the history of this one up to a position.

    A tool call whose output lies beyond is open in it.
    """
    return await answer_once(
        request, lambda session: service.fork_conversation(session, conversation_id, new), 201
    )


@router.post(
    "/conversations/{conversation_id}/messages/{message_id}/edit",
    response={201: schemas.ConversationWithMessages},
)
async def edit_message(
    request: TenantRequest, conversation_id: str, message_id: str, edited: schemas.EditedMessage
) -> HttpResponse:
    """Start a conversation that has the history before a message, and the edited one instead.

    This conversation stays as it is. The answer's `messages` has the edited one alone.
    """
    return await answer_once(
        request,
        lambda session: service.edit_message(session, conversation_id, message_id, edited),
        201,
    )


@router.get("/conversations/{conversation_id}/branches", response=schemas.Branches)
async def list_branches(
    request: TenantRequest, conversation_id: str, query: Query[schemas.BranchQuery]
) -> HttpResponse:
    """List the conversations that branch off from this one, and the way that leads to it."""
    async with read_session(request.auth.tenant) as session:
        branches = await service.list_branches(session, conversation_id, query)
    return json_response(branches)
