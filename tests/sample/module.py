"""A module the engine has never heard of: notes, with a table, a revision and routes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from ninja import Router
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import MetaData, Text, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from typing_extensions import TypedDict

from tenants.auth import KeyAuth, MemberAuth, TenantRequest
from tenants.db.base import Timestamp, create_metadata
from tenants.db.unit_of_work import WriteSession, read_session, write_session
from tenants.errors import NotFound
from tenants.ids import find_id, new_id, show_id
from tenants.keys import Scope
from tenants.module import Hooks, Module
from tenants.responses import json_response

router = Router()
ADMINISTRATORS = [KeyAuth("sample", Scope.ADMIN), MemberAuth("sample", Scope.ADMIN)]
# What the hooks have seen, for the tests: pairs of hook and tenant slug.
hook_calls: list[tuple[str, str]] = []


class Base(DeclarativeBase):
    metadata: ClassVar[MetaData] = create_metadata()
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text, datetime: Timestamp}


class Note(Base):
    __tablename__ = "sample_notes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    body: Mapped[str]
    created_at: Mapped[datetime]


class NewNote(BaseModel):
    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"body": "Milk"}]}
    )

    body: str = Field(min_length=1, max_length=1000)


class ShownNote(TypedDict):
    id: str
    body: str


@router.post("/notes", response={201: ShownNote})
async def write_note(request: TenantRequest, new: NewNote) -> HttpResponse:
    note_id = new_id()
    async with write_session(request.auth.tenant) as session:
        values = {"id": note_id, "body": new.body, "created_at": datetime.now(UTC)}
        await session.execute(insert(Note), values)
    return json_response({"id": show_id("note", note_id), "body": new.body}, 201)


@router.get("/notes/{note_id}", response=ShownNote)
async def read_note(request: TenantRequest, note_id: str) -> HttpResponse:
    key = find_id("note", note_id)
    async with read_session(request.auth.tenant) as session:
        note = await session.get(Note, key) if key else None
    if note is None:
        raise NotFound
    return json_response({"id": note_id, "body": note.body})


@router.delete("/notes", response={204: None}, auth=ADMINISTRATORS)
async def clear_notes(request: TenantRequest) -> HttpResponse:
    """Needs the scope admin."""
    async with write_session(request.auth.tenant) as session:
        for note in await session.scalars(select(Note)):
            await session.delete(note)
    return HttpResponse(status=204)


def _note_call(hook: str) -> Any:
    async def record(session: WriteSession) -> None:
        hook_calls.append((hook, session.tenant.slug))

    return record


module = Module(
    name="sample",
    label="Sample",
    version="1.0",
    router=router,
    metadata=Base.metadata,
    revisions=Path(__file__).parent / "revisions",
    requires=("conversations",),
    hooks=Hooks(
        tenant_created=_note_call("tenant_created"),
        module_enabled=_note_call("module_enabled"),
        module_disabled=_note_call("module_disabled"),
        tenant_deleted=_note_call("tenant_deleted"),
    ),
)
