"""Django's stock ASGI handler and Ninja on the same ORM layer, with no middleware at all."""

from typing import Annotated, Any
from uuid import UUID

import orjson
from django.conf import settings

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=[],
    INSTALLED_APPS=[],
    USE_TZ=True,
    SECRET_KEY="benchmark",  # noqa: S106  # It signs nothing.
)

from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from ninja import Body, NinjaAPI, Query  # noqa: E402
from ninja.errors import HttpError  # noqa: E402
from ninja.renderers import BaseRenderer  # noqa: E402
from ninja.security import HttpBearer  # noqa: E402
from pydantic import Field  # noqa: E402

from benchmarks.peers import answers, orm  # noqa: E402
from benchmarks.peers.place import find_schema  # noqa: E402
from benchmarks.peers.repeats import InUse, Keyed, Reused  # noqa: E402
from benchmarks.peers.shapes import (  # noqa: E402
    ConversationPage,
    MessageIn,
    MessageOut,
    MessagePage,
)
from tenants.ids import find_id  # noqa: E402

_sessions = orm.create_sessions(orm.create_engine())


class _Bearer(HttpBearer):
    async def authenticate(self, request: HttpRequest, token: str) -> str | None:
        return find_schema(token.encode())


class _Renderer(BaseRenderer):
    """As Ninja's documentation has it: faster than Django's, and with microseconds."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> bytes:
        return orjson.dumps(data, option=orjson.OPT_UTC_Z)


api = NinjaAPI(auth=_Bearer(), renderer=_Renderer(), docs_url=None, openapi_url=None)
Limit = Annotated[int, Query(), Field(ge=1, le=100)]


def _key(conversation_id: str) -> UUID:
    key = find_id("conv", conversation_id)
    if key is None:
        raise HttpError(404, "not found")
    return key


@api.post("/conversations/{conversation_id}/messages", response={201: MessageOut})
async def append_message(
    request: Any, conversation_id: str, new: Annotated[MessageIn, Body()]
) -> Any:
    key, idempotency_key = _key(conversation_id), request.headers.get("Idempotency-Key")
    async with orm.enter(_sessions, request.auth) as session:
        if idempotency_key is not None:
            keyed = Keyed.of(request.auth, idempotency_key.encode(), request.path, request.body)
            return await _append_once(session, key, new, keyed)
        message = await orm.append(session, key, new)
    if message is None:
        raise HttpError(404, "not found")
    return 201, message


async def _append_once(session: Any, key: UUID, new: MessageIn, keyed: Keyed) -> HttpResponse:
    try:
        found = await answers.find_answer(session, keyed)
    except Reused as error:
        raise HttpError(422, "another request") from error
    except InUse as error:
        raise HttpError(409, "under way") from error
    if found is not None:
        headers = {"Idempotent-Replayed": "true"}
        return HttpResponse(found.body, "application/json", found.status, headers=headers)
    message = await orm.append(session, key, new)
    if message is None:
        raise HttpError(404, "not found")
    body = MessageOut.model_validate(message).model_dump_json().encode()
    await answers.keep_answer(session, keyed, key, body)
    return HttpResponse(body, "application/json", 201)


@api.get("/conversations/{conversation_id}/messages", response=MessagePage)
async def list_messages(request: Any, conversation_id: str, limit: Limit = 20) -> Any:
    async with orm.enter(_sessions, request.auth) as session:
        messages = await orm.list_messages(session, _key(conversation_id), limit)
    if messages is None:
        raise HttpError(404, "not found")
    return orm.show_page(messages, limit)


@api.get("/conversations", response=ConversationPage)
async def list_conversations(request: Any, limit: Limit = 20) -> Any:
    async with orm.enter(_sessions, request.auth) as session:
        conversations = await orm.list_conversations(session, limit)
    return orm.show_conversations(conversations, limit)


urlpatterns = [path("api/v1/", api.urls)]
application = get_asgi_application()
