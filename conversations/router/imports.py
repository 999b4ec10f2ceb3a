"""Imports."""

from typing import Any

from django.http import HttpResponse
from ninja import Query

from conversations import schemas
from conversations.router.base import router
from conversations.service import imports
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import write_session
from tenants.errors import InvalidInput, UnsupportedMediaType
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
    report, branches = imports.Report(), []
    tenant = request.auth.tenant
    for draft in imports.read_drafts(request.body, query, report, is_lines=_is_lines(request)):
        try:
            async with write_session(tenant) as session:
                outcome = await imports.carry(session, draft)
        except imports.Refused as reason:
            report.skip(draft.line, str(reason))
        except InvalidInput as error:
            report.skip(draft.line, error.detail)
        else:
            report.add(outcome)
        if draft.branch is not None:
            branches.append(draft.branch)
    if branches:
        async with write_session(tenant) as session:
            await imports.link_branches(session, branches)
    return json_response(report.show(query.format))


def _is_lines(request: TenantRequest) -> bool:
    """Whether the body has lines. Raises UnsupportedMediaType (415)."""
    if request.content_type in _LINES_TYPES:
        return True
    if request.content_type == "application/json":
        return False
    raise UnsupportedMediaType(f"Send the body as {', '.join(_LINES_TYPES)} or application/json.")
