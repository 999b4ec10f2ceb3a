"""Conversations."""

from django.http import HttpResponse
from ninja import Query

from conversations import schemas, service
from conversations.router.base import router
from conversations.router.retries import answer_once
from tenants.auth import TenantRequest
from tenants.db.pagination import Page
from tenants.db.unit_of_work import read_session, write_session
from tenants.responses import json_response


@router.post("/conversations", response={201: schemas.ConversationWithMessages})
async def start_conversation(request: TenantRequest, new: schemas.NewConversation) -> HttpResponse:
    """Start a conversation, optionally with its first messages."""
    return await answer_once(
        request, lambda session: service.start_conversation(session, new), status=201
    )


@router.get("/conversations", response=Page[schemas.Conversation])
async def list_conversations(
    request: TenantRequest, query: Query[schemas.ConversationQuery]
) -> HttpResponse:
    """List conversations by last activity.

    One that becomes active while you page moves to the front: a walk from the newest never shows
    a conversation twice, and may miss one that has moved.
    """
    async with read_session(request.auth.tenant) as session:
        page = await service.list_conversations(session, query)
    return json_response(page)


@router.get("/conversations/{conversation_id}", response=schemas.Conversation)
async def get_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Get a conversation."""
    async with read_session(request.auth.tenant) as session:
        conversation = await service.get_conversation(session, conversation_id)
    return json_response(conversation)


@router.patch("/conversations/{conversation_id}", response=schemas.Conversation)
async def change_conversation(
    request: TenantRequest, conversation_id: str, changes: schemas.ConversationChanges
) -> HttpResponse:
    """Change title, language, status, metadata, end, legal hold, or how far it has been read.

    What is absent stays.
    """
    async with write_session(request.auth.tenant) as session:
        conversation = await service.change_conversation(session, conversation_id, changes)
    return json_response(conversation)


@router.post("/conversations/{conversation_id}/archive", response=schemas.Conversation)
async def archive_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Close a conversation to appends. Patch the status to `active` to open it again."""
    return await answer_once(
        request, lambda session: service.archive_conversation(session, conversation_id)
    )


@router.delete("/conversations/{conversation_id}", response={204: None})
async def delete_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Delete a conversation with its messages: no read shows them any more.

    For a number of days it can be restored; then it is erased for good.
    """
    async with write_session(request.auth.tenant) as session:
        await service.delete_conversation(session, conversation_id)
    return HttpResponse(status=204)


@router.post("/conversations/{conversation_id}/restore", response=schemas.Conversation)
async def restore_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Undo the deletion of a conversation; one that isn't deleted stays as it is."""
    return await answer_once(
        request, lambda session: service.restore_conversation(session, conversation_id)
    )
