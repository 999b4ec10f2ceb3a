"""The two data layers see the same rows: the registry is committed once per run, and tests are
kept apart by giving each fresh tenants instead of a transaction that is rolled back."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker
from structlog.contextvars import merge_contextvars
from structlog.stdlib import add_log_level, add_logger_name
from structlog.testing import capture_logs

from project.asgi import Application
from project.asgi import application as asgi_application
from tenants.apps import get_settings
from tenants.db import engine

pytest_plugins = ["tenants.testing"]


@pytest.fixture(scope="session", autouse=True)
def registry(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Django's tables, for the whole run."""
    django_db_blocker.unblock()
    call_command("migrate", verbosity=0)
    yield
    connections.close_all()


@pytest.fixture(scope="session")
async def application(registry: None) -> AsyncIterator[Application]:
    """The ASGI application, started as a server starts it."""
    assert await asgi_application.start() == []
    yield asgi_application
    await asgi_application.stop()
    # The thread in which the ORM's part of async code runs has connections of its own.
    await sync_to_async(connections.close_all)()


@pytest.fixture
def logged() -> Iterator[list[Any]]:
    """What we log while the test runs, an entry each, whatever its level."""
    described = [merge_contextvars, add_logger_name, add_log_level]
    with capture_logs(described) as entries:
        yield entries


@pytest.fixture
async def with_settings(application: Application) -> AsyncIterator[Callable[..., None]]:
    """Serve with other settings of the engine: `with_settings(stream_poll_seconds=0.1)`."""
    yield lambda **changes: engine.configure(get_settings().model_copy(update=changes))
    engine.configure(get_settings())
