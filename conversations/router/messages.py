"""Messages."""

from typing import Annotated

from django.http import HttpResponse
from ninja import Body, Query
from pydantic import Discriminator, Tag

from conversations import schemas, service
from conversations.router.base import router
from conversations.router.retries import answer_once
from tenants.auth import TenantRequest
from tenants.db.pagination import Page
from tenants.db.unit_of_work import WriteSession, read_session
from tenants.responses import json_response, to_json


def _shape(value: object) -> str:
    """Which of the two bodies of an append was sent; errors then speak of that one alone."""
    return "<batch>" if isinstance(value, dict) and "messages" in value else "<one>"


OneOrMany = Annotated[
    Annotated[schemas.NewMessage, Tag("<one>")] | Annotated[schemas.NewMessages, Tag("<batch>")],
    Discriminator(_shape),
]


@router.post(
    "/conversations/{conversation_id}/messages",
    response={201: schemas.Message | schemas.Messages},
)
async def append_messages(
    request: TenantRequest,
    conversation_id: str,
    new: Annotated[OneOrMany, Body()],
    query: Query[schemas.AppendQuery],
) -> HttpResponse:
    """Append one message, or up to a hundred as `{"messages": [...]}`: all of them or none.

    One is answered with itself, a batch with `{"data": [...]}`. A message whose `external_id` the
    conversation has already is not written again: the answer has it as it was written first.
    """
    batch = new.messages if isinstance(new, schemas.NewMessages) else [new]

    def show(messages: list[schemas.Message]) -> schemas.Message | schemas.Messages:
        return {"data": messages} if isinstance(new, schemas.NewMessages) else messages[0]

    async def append(session: WriteSession) -> schemas.Message | schemas.Messages:
        return show(
            await service.append_messages(
                session, conversation_id, batch, expected_seq=query.expected_seq
            )
        )

    async def append_once(
        session: WriteSession, repeatable: service.RepeatableRequest
    ) -> tuple[service.Answer, bool]:
        return await service.append_once(
            session, conversation_id, batch, repeatable, lambda written: to_json(show(written))
        )

    is_plain = query.expected_seq is None and all(each.external_id is None for each in batch)
    return await answer_once(request, append, 201, write_once=append_once if is_plain else None)


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
