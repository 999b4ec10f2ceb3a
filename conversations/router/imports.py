"""Imports."""

from typing import Any

from django.http import HttpResponse
from ninja import Query

from conversations import schemas
from conversations.router.base import router
from conversations.service import imports
from tenants.auth import TenantRequest
from tenants.errors import UnsupportedMediaType
from tenants.responses import json_response

_LINES_TYPES = (schemas.LINES_TYPE, "application/jsonl")
_EXAMPLE = [
    {
        "type": "conversation",
        "id": "conv_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5",
        "user_id": "user-7",
        "title": "Oslo",
        "created_at": "2026-03-01T12:00:00Z",
        "updated_at": "2026-03-01T12:00:00Z",
        "last_activity_at": "2026-03-01T12:00:00Z",
    },
    {
        "type": "message",
        "conversation_id": "conv_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5",
        "id": "msg_019a3b6c7f2e7c3a9d41b1f0c2d3e4f5",
        "seq": 1,
        "role": "user",
        "content": "Is it raining in Oslo?",
        "created_at": "2026-03-01T12:00:00Z",
    },
]
# Ninja would parse the whole body at once; it is read here, a record at a time.
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "description": "One record, or an array of them.",
                    "examples": [_EXAMPLE],
                }
            },
            **{
                kind: {"schema": {"type": "string", "description": "A record in each line."}}
                for kind in _LINES_TYPES
            },
        },
    }
}


@router.post("/imports", response=schemas.ImportReport, openapi_extra=_BODY)
async def import_conversations(
    request: TenantRequest, query: Query[schemas.ImportQuery]
) -> HttpResponse:
    """Import conversations from an export, from OpenAI's chat format, or from ChatGPT.

    Importing the same again adds nothing; after a cut it goes on. Each conversation is written
    whole or not at all, and what can't be read is skipped and reported.
    """
    records = imports.split_body(request.body, is_lines=_is_lines(request))
    report = await imports.import_records(request.auth.tenant, records, query)
    return json_response(report)


def _is_lines(request: TenantRequest) -> bool:
    """Whether the body has lines. Raises UnsupportedMediaType (415)."""
    if request.content_type in _LINES_TYPES:
        return True
    if request.content_type == "application/json":
        return False
    raise UnsupportedMediaType(f"Send the body as {', '.join(_LINES_TYPES)} or application/json.")
