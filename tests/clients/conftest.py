"""A served instance for the Python client, and lines to it that break."""

import asyncio
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from tenantry_client import AsyncTenantry, Tenantry

from tests.conversations.cutting_proxy import CuttingProxy
from tests.project.processes import running_serve


@pytest.fixture(scope="package")
def service():
    # Readers whose line breaks come back soon.
    with running_serve(TENANTRY_STREAM_RETRY_SECONDS="0.1") as service:
        yield service


@pytest.fixture(scope="module")
async def tenant(make_tenant):
    return await make_tenant()


@pytest.fixture(scope="module")
def client(service, tenant):
    with Tenantry(service.base_url, tenant.key) as client:
        yield client


@pytest.fixture
async def async_client(service, tenant):
    async with AsyncTenantry(service.base_url, tenant.key) as client:
        yield client


@pytest.fixture
def proxy(service):
    """A way to the server that loses answers."""
    with CuttingProxy(service.base_url) as proxy:
        yield proxy


@pytest.fixture
def cut_client(proxy, tenant):
    with Tenantry(proxy.base_url, tenant.key) as client:
        yield client


@pytest.fixture
def breaking_line(service):
    """`breaking_line(seconds)` passes bytes on to the server, and cuts each connection so long
    after it was opened. Gives its address, and the connections so far."""

    @asynccontextmanager
    async def open_line(seconds):
        parts, connections = urlsplit(service.base_url), []

        async def serve(reader, writer):
            connections.append(writer)
            answers, requests = await asyncio.open_connection(parts.hostname, parts.port)
            passing = [
                asyncio.create_task(pass_on(*each))
                for each in ((reader, requests), (answers, writer))
            ]
            await asyncio.wait(passing, timeout=seconds)
            for task in passing:
                task.cancel()
            requests.close()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connections
        server.close()

    return open_line


async def pass_on(source, target):
    with suppress(OSError):
        while part := await source.read(65_536):
            target.write(part)
