"""The live feed: server-sent events."""

from typing import Annotated, Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from ninja import Header, Query

from conversations import schemas, service
from conversations.router.base import router
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import read_session
from tenants.responses import event_response

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The `id` of the last event that was received."),
]


def _events(example: str) -> dict[str, Any]:
    """What the OpenAPI document says of a stream."""
    content = {"text/event-stream": {"schema": {"type": "string", "examples": [example]}}}
    return {"responses": {200: {"content": content}}}


@router.get(
    "/conversations/{conversation_id}/events",
    response={200: None},
    openapi_extra=_events('event: message\nid: 5\ndata: {"seq": 5, "role": "user"}\n\n'),
)
async def follow_conversation(
    request: TenantRequest,
    conversation_id: str,
    query: Query[schemas.FeedQuery],
    last_event_id: LastEventId = None,
) -> HttpResponseBase:
    """Follow a conversation: server-sent events, one for each message as it is committed.

    An event `message` has the message as its data and its `seq` as its id. `draft` passes on a
    piece of a message that is being written; `deleted` is the last one.
    """
    tenant = request.auth.tenant
    async with read_session(tenant) as session:
        after = await service.open_feed(session, conversation_id, query.after, last_event_id)
    events = service.follow_conversation(tenant, conversation_id, after)
    return event_response(request.running, events)


@router.get(
    "/events",
    response={200: None},
    openapi_extra=_events('event: message\nid: WyJ6…\ndata: {"seq": 5, "role": "user"}\n\n'),
)
async def follow_user(
    request: TenantRequest,
    query: Query[schemas.UserFeedQuery],
    last_event_id: LastEventId = None,
) -> HttpResponseBase:
    """Follow all conversations of an end user: an event `message` for each message in them.

    Messages of one conversation come in order.
    """
    tenant = request.auth.tenant
    cursor = query.after if last_event_id is None else last_event_id
    position = await service.open_user_feed(tenant, query.user_id, cursor)
    return event_response(request.running, service.follow_user(tenant, query.user_id, position))


@router.post("/conversations/{conversation_id}/drafts/{draft_id}", response={204: None})
async def relay_draft(
    request: TenantRequest, conversation_id: str, draft_id: schemas.DraftId, draft: schemas.Draft
) -> HttpResponse:
    """Pass a piece of a message that is being written on to the conversation's streams.

    It is stored nowhere. Append the whole message with the draft's id as its `external_id`.
    """
    async with read_session(request.auth.tenant) as session:
        await service.relay_draft(session, conversation_id, draft_id, draft)
    return HttpResponse(status=204)
