"""The OpenAI wire: its routes, as the `openai` SDK's `conversations` calls them."""

from typing import Any

from django.http import HttpResponse
from ninja import Query, Router

from conversations.router.retries import answer_once
from conversations.schemas import openai as wire
from conversations.service import openai as service
from conversations.settings import get_settings
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import read_session, write_session
from tenants.responses import json_response

router = Router()
_EMPTY = wire.NewConversation()
_ONE = "/conversations/{conversation_id}"
_ITEMS = f"{_ONE}/items"
_ITEM = f"{_ITEMS}/{{item_id}}"


@router.post("/conversations", response=wire.Conversation)
async def start_conversation(
    request: TenantRequest, new: wire.NewConversation = _EMPTY
) -> HttpResponse:
    """Start a conversation, optionally with up to 20 items."""
    return await answer_once(request, lambda session: service.start_conversation(session, new))


@router.get(_ONE, response=wire.Conversation)
async def get_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Get a conversation."""
    async with read_session(request.auth.tenant) as session:
        conversation = await service.get_conversation(session, conversation_id)
    return json_response(conversation)


@router.post(_ONE, response=wire.Conversation)
async def change_conversation(
    request: TenantRequest, conversation_id: str, changes: wire.ConversationChanges
) -> HttpResponse:
    """Replace the metadata."""
    return await answer_once(
        request, lambda session: service.change_conversation(session, conversation_id, changes)
    )


@router.delete(_ONE, response=wire.DeletedConversation)
async def delete_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Delete a conversation with its items: no read shows them any more."""
    async with write_session(request.auth.tenant) as session:
        deleted = await service.delete_conversation(session, conversation_id)
    return json_response(deleted)


@router.post(_ITEMS, response=wire.ItemList)
async def append_items(
    request: TenantRequest, conversation_id: str, new: wire.NewItems, query: Query[wire.Include]
) -> HttpResponse:
    """Append up to 20 items: all of them or none.

    A retry of the SDK, by its header `x-stainless-retry-count`, is answered with what the attempt
    before it wrote, while that is the newest of the conversation.
    """
    attempt = _attempt(request)
    return await answer_once(
        request,
        lambda session: service.append_items(session, conversation_id, new.items, attempt),
    )


@router.get(_ITEMS, response=wire.ItemList)
async def list_items(
    request: TenantRequest, conversation_id: str, query: Query[wire.ItemQuery]
) -> HttpResponse:
    """List items, the newest first; while `has_more`, pass `last_id` as `after`."""
    async with read_session(request.auth.tenant) as session:
        items = await service.list_items(session, conversation_id, query)
    return json_response(items)


@router.get(_ITEM, response=dict[str, Any])
async def get_item(
    request: TenantRequest, conversation_id: str, item_id: str, query: Query[wire.Include]
) -> HttpResponse:
    """Get an item."""
    async with read_session(request.auth.tenant) as session:
        item = await service.get_item(session, conversation_id, item_id)
    return json_response(item)


@router.delete(_ITEM, response=wire.Conversation)
async def delete_item(request: TenantRequest, conversation_id: str, item_id: str) -> HttpResponse:
    """Delete an item: no read shows it any more. The answer is its conversation."""
    async with write_session(request.auth.tenant) as session:
        conversation = await service.delete_item(session, conversation_id, item_id)
    return json_response(conversation)


def _attempt(request: TenantRequest) -> service.Attempt | None:
    """What lets a retry be recognised, for the clients that say when they retry."""
    retry_count = request.META.get("HTTP_X_STAINLESS_RETRY_COUNT")
    if retry_count is None or not get_settings().openai_retry_seconds:
        return None
    return service.Attempt.of(request.auth.id, request.path, request.body, retry_count)
