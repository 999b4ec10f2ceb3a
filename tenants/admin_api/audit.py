"""The audit log: in pages, and whole as JSON Lines."""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponse, StreamingHttpResponse
from ninja import Query, Router

from tenants import lifecycle, shapes
from tenants.admin_api.auth import AdminAuth, AdminRequest
from tenants.admin_api.inputs import AuditFilter, AuditQuery
from tenants.admin_api.pages import answer_page
from tenants.db.pagination import Page
from tenants.keys import OperatorScope

router = Router(tags=["Audit log"])
READ = AdminAuth(OperatorScope.READ)


@router.get("/audit", auth=READ, response=Page[shapes.ShownEntry])
async def list_audit(request: AdminRequest, query: Query[AuditQuery]) -> HttpResponse:
    """List what was done, the newest first."""
    filters = query.model_dump(include=set(AuditFilter.model_fields))
    fetch = partial(lifecycle.list_audit, **filters)
    return await answer_page(["audit", filters], query, fetch, shapes.show_entry, ("id", UUID))


@router.get("/audit/export", auth=READ, response=str)
async def export_audit(request: AdminRequest, query: Query[AuditFilter]) -> StreamingHttpResponse:
    """The same as JSON Lines, one entry a line, as a stream."""
    return StreamingHttpResponse(
        _lines(query.model_dump()),
        content_type="application/x-ndjson",
        headers={"Content-Disposition": 'attachment; filename="audit.jsonl"'},
    )


async def _lines(filters: dict[str, Any]) -> AsyncIterator[bytes]:
    async for entry in lifecycle.iterate_audit(**filters):
        yield orjson.dumps(shapes.show_entry(entry), option=orjson.OPT_UTC_Z) + b"\n"
