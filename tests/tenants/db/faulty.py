"""Routes that do what routes must not, for seeing what a client gets: a URL configuration."""

from datetime import UTC, datetime

from django.http import HttpResponse
from django.urls import path
from ninja import NinjaAPI
from sqlalchemy import exc, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from project.api import answer_error, repeat_once
from tenants.auth import KeyAuth, TenantRequest
from tenants.db.engine import get_pool
from tenants.db.unit_of_work import WriteSession, write_session
from tenants.ids import new_id
from tenants.responses import json_response
from tests.sample.module import Note

api = NinjaAPI(urls_namespace="faulty", auth=KeyAuth("sample"), docs_url=None, openapi_url=None)
api.add_decorator(repeat_once)
api.add_exception_handler(Exception, answer_error)

# How often `fail` has been run, by the word it was given.
attempts: dict[str, int] = {}


async def raise_sqlstate(session: WriteSession, sqlstate: str) -> None:
    """Have the server report an error, as if it had come upon it."""
    await session.execute(
        text(f"DO $$ BEGIN RAISE 'on purpose' USING ERRCODE = '{sqlstate}'; END $$")
    )


async def add_note(session: WriteSession, body: str) -> None:
    values = {"id": new_id(), "body": body, "created_at": datetime.now(UTC)}
    await session.execute(insert(Note), values)


@api.get("/forgotten")
async def read_without_a_tenant(request: TenantRequest, relation: str) -> HttpResponse:
    async with AsyncSession(get_pool().engine) as session:
        rows = (await session.execute(text(f"SELECT * FROM {relation}"))).all()
    return json_response([list(row) for row in rows])


@api.post("/fail")
async def fail(request: TenantRequest, word: str, sqlstate: str, times: int) -> HttpResponse:
    """Write a note, then fail, in the first so many attempts."""
    attempts[word] = attempts.get(word, 0) + 1
    async with write_session(request.auth.tenant) as session:
        await add_note(session, word)
        if attempts[word] <= times:
            await raise_sqlstate(session, sqlstate)
    return HttpResponse(status=204)


@api.post("/swallow")
async def swallow_an_error(request: TenantRequest, word: str) -> HttpResponse:
    async with write_session(request.auth.tenant) as session:
        await add_note(session, word)
        try:
            await raise_sqlstate(session, "23505")
        except exc.DBAPIError:
            return HttpResponse(status=204)
    return HttpResponse(status=204)


@api.get("/notes")
async def list_bodies(request: TenantRequest) -> HttpResponse:
    async with write_session(request.auth.tenant) as session:
        return json_response(list(await session.scalars(select(Note.body))))


urlpatterns = [path("api/v1/faulty/", api.urls)]
