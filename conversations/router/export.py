"""Exports, streamed as lines of JSON."""

from typing import Any

from django.http import StreamingHttpResponse

from conversations import schemas, service
from conversations.router.base import router
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import read_session
from tenants.tenant import TenantRef

_LINES: dict[str, Any] = {
    "responses": {
        200: {
            "description": "Lines of JSON. A whole export ends with a line of the type `end`.",
            "content": {schemas.LINES_TYPE: {"schema": {"type": "string"}}},
        }
    }
}


@router.get("/conversations/{conversation_id}/export", response={200: None}, openapi_extra=_LINES)
async def export_conversation(
    request: TenantRequest, conversation_id: str
) -> StreamingHttpResponse:
    """Export a conversation with all that belongs to it."""
    async with read_session(request.auth.tenant) as session:
        page = await service.export_conversation(session, conversation_id)
    return _stream(request.auth.tenant, page)


@router.get("/users/{path:user_id}/export", response={200: None}, openapi_extra=_LINES)
async def export_user(request: TenantRequest, user_id: str) -> StreamingHttpResponse:
    """Export all conversations of a user, and the files."""
    async with read_session(request.auth.tenant) as session:
        page = await service.export_user(session, user_id)
    return _stream(request.auth.tenant, page)


@router.get("/export", response={200: None}, openapi_extra=_LINES)
async def export_all(request: TenantRequest) -> StreamingHttpResponse:
    """Export everything that the tenant has."""
    async with read_session(request.auth.tenant) as session:
        page = await service.export_all(session)
    return _stream(request.auth.tenant, page)


def _stream(tenant: TenantRef, page: service.ExportPage) -> StreamingHttpResponse:
    """The page, which is there already, and those after it, each read when it is time to send."""

    lines = service.stream_pages(tenant, page)
    response = StreamingHttpResponse(lines, content_type=schemas.LINES_TYPE)
    response.headers["Content-Disposition"] = 'attachment; filename="export.jsonl"'
    return response
