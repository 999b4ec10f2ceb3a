"""Fixtures for the tests of any module: tenants, and a client that speaks to the whole service.

A project's conftest provides `application`, the started ASGI application.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from django.urls import resolve
from ninja.operation import Operation

from tenants import lifecycle
from tenants.actor import Actor, ActorKind
from tenants.admin_api.router import router as management_router
from tenants.lifecycle import IssuedKey
from tenants.models import Tenant
from tenants.modules import find_wire, get_modules, get_wires, list_operations
from tenants.tenant import TenantRef

API = "/api/v1"
MANAGEMENT_API = "/api/admin/v1"
# After so long a client has heard what a stream of events says at first.
_SILENCE_SECONDS = 0.2
# Who does what tests do to tenants.
TESTER = Actor(ActorKind.COMMAND, "tester", "A test")


@dataclass(frozen=True)
class TestTenant:
    """A tenant of one test, with its first API key."""

    __test__ = False

    row: Tenant
    key: str

    @property
    def ref(self) -> TenantRef:
        return self.row.ref

    @property
    def slug(self) -> str:
        return self.row.slug

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}


MakeTenant = Callable[..., Awaitable[TestTenant]]


async def onboard(
    slug: str, name: str, modules: Collection[str] | None = None, **options: Any
) -> tuple[Tenant, IssuedKey]:
    """`lifecycle.create_tenant`, done by a test: the tenant and its first key."""
    onboarded = await lifecycle.create_tenant(slug, name, modules, by=TESTER, **options)
    return onboarded.tenant, onboarded.key


@pytest.fixture(scope="session")
def make_tenant(application: Any) -> MakeTenant:
    """Make a tenant: `await make_tenant(modules=[...], scopes=[...])`, by default with all."""

    async def make(
        modules: Collection[str] | None = None, scopes: Collection[str] | None = None
    ) -> TestTenant:
        slug = f"t{secrets.token_hex(6)}"
        tenant, key = await onboard(slug, f"Tenant {slug}", modules)
        if scopes is not None:
            key = await lifecycle.issue_key(slug, "Scoped key", scopes, by=TESTER)
        return TestTenant(tenant, key.text)

    return make


@pytest.fixture
async def tenant(make_tenant: MakeTenant) -> TestTenant:
    return await make_tenant()


class ApiClient(httpx.AsyncClient):
    """An HTTP client that holds every JSON answer of all APIs against their documentation.

    Endpoints write their answers without validating them; here it is done instead.
    """

    async def request(self, *args: Any, **options: Any) -> httpx.Response:
        response = await super().request(*args, **options)
        json = response.headers.get("content-type", "application/json") == "application/json"
        path = response.request.url.path
        starts = (API, MANAGEMENT_API, *get_wires())
        of_api = path.startswith(starts) and not path.endswith("/openapi.json")
        if response.is_success and json and of_api:
            check_answer(response)
        return response


@pytest.fixture
async def client(application: Any) -> Any:
    """A client without a key: `client.get(path, headers=tenant.headers)`."""
    async with connect(application) as client:
        yield client


@pytest.fixture
async def api(application: Any, tenant: TestTenant) -> Any:
    """A client with the key of `tenant`; its paths begin after `/api/v1`."""
    async with connect(application, base_url=f"http://localhost{API}", tenant=tenant) as client:
        yield client


@pytest.fixture
async def operator(application: Any) -> Any:
    """A client with an operator's key of all scopes; its paths begin after `/api/admin/v1`."""
    key = await lifecycle.create_operator("Test", by=TESTER)
    async with connect(application, base_url=f"http://localhost{MANAGEMENT_API}") as client:
        client.headers["Authorization"] = f"Bearer {key.text}"
        yield client


def connect(
    application: Any, base_url: str = "http://localhost", tenant: TestTenant | None = None
) -> ApiClient:
    return ApiClient(
        transport=httpx.ASGITransport(_leaving_streams(application)),
        base_url=base_url,
        headers=tenant.headers if tenant else None,
    )


def _leaving_streams(application: Any) -> Any:
    """The application for a client that leaves a stream of events at its first silence.

    httpx's transport waits for the end of an answer, and a stream has none.
    """

    async def run(scope: Any, receive: Any, send: Any) -> None:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None
        leaving: asyncio.TimerHandle | None = None
        is_stream = has_left = False

        def leave() -> None:
            nonlocal has_left
            has_left = True
            task.cancel()

        async def send_and_wait(message: Any) -> None:
            nonlocal is_stream, leaving
            is_stream |= (b"content-type", b"text/event-stream") in message.get("headers", ())
            await send(message)
            if leaving is not None:
                leaving.cancel()
            if is_stream:
                leaving = loop.call_later(_SILENCE_SECONDS, leave)

        try:
            await application(scope, receive, send_and_wait)
        except asyncio.CancelledError:
            if not has_left:
                raise
            task.uncancel()
            await send({"type": "http.response.body"})
        finally:
            if leaving is not None:
                leaving.cancel()

    return run


def check_answer(response: httpx.Response) -> None:
    """Fail unless a successful answer is exactly what the OpenAPI document says."""
    operation = find_operation(response.request.method, response.request.url.path)
    assert response.status_code in operation.response_models, (
        f"{response.request.method} {response.request.url.path} does not document "
        f"{response.status_code}"
    )
    model = operation.response_models[response.status_code]
    if model is None:
        assert response.content == b""
        return
    content = {"response": response.json()}
    assert model.model_validate(content).model_dump(mode="json", exclude_unset=True) == content


def find_operation(method: str, path: str) -> Operation:
    """The operation that serves a path."""
    route = resolve(path).route
    wire = find_wire(path)
    mounted = [(API, module.router) for module in get_modules()]
    if wire is not None:
        mounted = [(f"/{wire.prefix}", wire.router)]
    for prefix, router in [*mounted, (MANAGEMENT_API, management_router)]:
        for template, operation in list_operations(router):
            named = f"{prefix}/{template.strip('/')}".replace("{", "<").replace("}", ">")
            if named.strip("/") == route and method in operation.methods:
                return operation
    raise LookupError(f"{method} {path} is no route")
