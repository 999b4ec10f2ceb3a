"""The module's routes. Each opens one session, calls one service function, and answers."""

from typing import Annotated

from django.http import HttpResponse
from ninja import Body, Query, Router
from pydantic import Discriminator, Tag

from conversations import schemas, service
from tenants.auth import TenantRequest
from tenants.db.pagination import Page
from tenants.db.unit_of_work import read_session, write_session
from tenants.responses import json_response

router = Router()


def _shape(value: object) -> str:
    """Which of the two bodies of an append was sent; errors then speak of that one alone."""
    return "batch" if isinstance(value, dict) and "messages" in value else "one"


OneOrMany = Annotated[
    Annotated[schemas.NewMessage, Tag("one")] | Annotated[schemas.NewMessages, Tag("batch")],
    Discriminator(_shape),
]


@router.post("/conversations", response={201: schemas.ConversationWithMessages})
async def start_conversation(request: TenantRequest, new: schemas.NewConversation) -> HttpResponse:
    """Start a conversation, optionally with its first messages."""
    async with write_session(request.auth.tenant) as session:
        conversation = await service.start_conversation(session, new)
    return json_response(conversation, 201)


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
    """Change the title, the status or the metadata; what is absent stays."""
    async with write_session(request.auth.tenant) as session:
        conversation = await service.change_conversation(session, conversation_id, changes)
    return json_response(conversation)


@router.post("/conversations/{conversation_id}/archive", response=schemas.Conversation)
async def archive_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Close a conversation to appends. Patch the status to `active` to open it again."""
    async with write_session(request.auth.tenant) as session:
        conversation = await service.archive_conversation(session, conversation_id)
    return json_response(conversation)


@router.delete("/conversations/{conversation_id}", response={204: None})
async def delete_conversation(request: TenantRequest, conversation_id: str) -> HttpResponse:
    """Delete a conversation with its messages: no read shows them any more."""
    async with write_session(request.auth.tenant) as session:
        await service.delete_conversation(session, conversation_id)
    return HttpResponse(status=204)


@router.post(
    "/conversations/{conversation_id}/messages",
    response={201: schemas.Message | schemas.Messages},
)
async def append_messages(
    request: TenantRequest, conversation_id: str, new: Annotated[OneOrMany, Body()]
) -> HttpResponse:
    """Append one message, or up to a hundred as `{"messages": [...]}`: all of them or none.

    One is answered with itself, a batch with `{"data": [...]}`.
    """
    batch = new.messages if isinstance(new, schemas.NewMessages) else [new]
    async with write_session(request.auth.tenant) as session:
        messages = await service.append_messages(session, conversation_id, batch)
    answer = {"data": messages} if isinstance(new, schemas.NewMessages) else messages[0]
    return json_response(answer, 201)


@router.get("/conversations/{conversation_id}/messages", response=Page[schemas.Message])
async def list_messages(
    request: TenantRequest, conversation_id: str, query: Query[schemas.MessageQuery]
) -> HttpResponse:
    """List messages in order, with their tool calls."""
    async with read_session(request.auth.tenant) as session:
        page = await service.list_messages(session, conversation_id, query)
    return json_response(page)


@router.get("/conversations/{conversation_id}/messages/{message_id}", response=schemas.Message)
async def get_message(
    request: TenantRequest, conversation_id: str, message_id: str
) -> HttpResponse:
    """Get one message with its tool calls."""
    async with read_session(request.auth.tenant) as session:
        message = await service.get_message(session, conversation_id, message_id)
    return json_response(message)


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
    async with write_session(request.auth.tenant) as session:
        call = await service.report_result(session, conversation_id, call_id, result)
    return json_response(call)
