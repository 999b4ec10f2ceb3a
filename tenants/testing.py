"""Fixtures for the tests of any module: tenants, and a client that speaks to the whole service.

A project's conftest provides `application`, the started ASGI application.
"""

import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from django.urls import resolve
from ninja.operation import Operation

from tenants import lifecycle
from tenants.models import Tenant
from tenants.modules import get_modules, list_operations
from tenants.tenant import TenantRef

API = "/api/v1"


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


@pytest.fixture(scope="session")
def make_tenant(application: Any) -> MakeTenant:
    """Make a tenant: `await make_tenant(modules=[...], scopes=[...])`, by default with all."""

    async def make(
        modules: Collection[str] | None = None, scopes: Collection[str] | None = None
    ) -> TestTenant:
        slug = f"t{secrets.token_hex(6)}"
        tenant, key = await lifecycle.create_tenant(slug, f"Tenant {slug}", modules)
        if scopes is not None:
            key = await lifecycle.issue_key(slug, "Scoped key", scopes)
        return TestTenant(tenant, key.text)

    return make


@pytest.fixture
async def tenant(make_tenant: MakeTenant) -> TestTenant:
    return await make_tenant()


class ApiClient(httpx.AsyncClient):
    """An HTTP client that holds every JSON answer of the tenant API against its documentation.

    Endpoints write their answers without validating them; here it is done instead.
    """

    async def request(self, *args: Any, **options: Any) -> httpx.Response:
        response = await super().request(*args, **options)
        if response.is_success and response.request.url.path.startswith(API):
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


def connect(
    application: Any, base_url: str = "http://localhost", tenant: TestTenant | None = None
) -> ApiClient:
    return ApiClient(
        transport=httpx.ASGITransport(application),
        base_url=base_url,
        headers=tenant.headers if tenant else None,
    )


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
    route = resolve(path).route.removeprefix(API.removeprefix("/")).strip("/")
    for module in get_modules():
        for template, operation in list_operations(module.router):
            named = template.strip("/").replace("{", "<").replace("}", ">")
            if named == route and method in operation.methods:
                return operation
    raise LookupError(f"{method} {path} is no route of a module")
