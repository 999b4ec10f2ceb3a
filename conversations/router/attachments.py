"""Attachments."""

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from ninja import File, Form
from ninja.files import UploadedFile

from conversations import schemas, service
from conversations.router.base import router
from conversations.router.retries import answer_once
from tenants.auth import TenantRequest
from tenants.db.unit_of_work import read_session
from tenants.errors import InvalidInput
from tenants.files import Content
from tenants.responses import json_response
from tenants.storage import TenantFiles

ONE = "/attachments/{attachment_id}"
# What was uploaded is nothing to be shown or run in this service's name.
_INERT = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
_BYTES: dict[str, Any] = {
    "responses": {
        200: {
            "description": "The bytes, with the media type that was said of them.",
            "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}},
        }
    }
}


@router.post("/attachments", response={201: schemas.Attachment})
async def store_attachment(
    request: TenantRequest, file: File[UploadedFile], new: Form[schemas.NewAttachment]
) -> HttpResponse:
    """Upload a file, as a form with the part `file`."""
    _check_form(request)
    tenant = request.auth.tenant
    assert file.file is not None
    content = Content(file.file, file.size or 0)
    name, media_type = file.name or "", file.content_type or ""
    upload = service.keep_upload(TenantFiles(tenant), content, name, media_type, new)
    async with upload as write:
        return await answer_once(request, write, 201)


@router.get(ONE, response=schemas.Attachment)
async def get_attachment(request: TenantRequest, attachment_id: str) -> HttpResponse:
    """Get what is known of a file."""
    async with read_session(request.auth.tenant) as session:
        attachment = await service.get_attachment(session, attachment_id)
    return json_response(attachment)


@router.get(f"{ONE}/content", openapi_extra=_BYTES)
async def get_attachment_content(
    request: TenantRequest, attachment_id: str
) -> StreamingHttpResponse:
    """Download a file."""
    tenant = request.auth.tenant
    attachment, parts = await service.open_attachment(tenant, TenantFiles(tenant), attachment_id)
    return StreamingHttpResponse(
        parts,
        content_type=attachment["media_type"],
        headers={
            **_INERT,
            "Content-Length": str(attachment["size"]),
            "Content-Disposition": content_disposition_header(True, attachment["name"]) or "",
        },
    )


@router.delete(ONE, response={204: None})
async def delete_attachment(request: TenantRequest, attachment_id: str) -> HttpResponse:
    """Delete a file for good. Messages that name it stay as they are."""
    tenant = request.auth.tenant
    await service.delete_attachment(tenant, TenantFiles(tenant), attachment_id)
    return HttpResponse(status=204)


def _check_form(request: TenantRequest) -> None:
    """Refuse what the form should not have, as a body of JSON does."""
    known = {"file", *schemas.NewAttachment.model_fields}
    wrong = [
        (name, "There is no such field.")
        for name in sorted({*request.POST, *request.FILES} - known)
    ]
    if len(request.FILES.getlist("file")) > 1:
        wrong.append(("file", "Send one file at a time."))
    if wrong:
        raise InvalidInput(errors=wrong)
