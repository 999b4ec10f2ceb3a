"""The two data layers see the same rows: the registry is committed once per run, and tests are
kept apart by giving each fresh tenants instead of a transaction that is rolled back."""

from collections.abc import AsyncIterator

import pytest
from django.core.management import call_command
from pytest_django.plugin import DjangoDbBlocker

from project.asgi import Application
from project.asgi import application as asgi_application

pytest_plugins = ["tenants.testing"]


@pytest.fixture(scope="session", autouse=True)
def registry(django_db_blocker: DjangoDbBlocker) -> None:
    """Django's tables, for the whole run."""
    django_db_blocker.unblock()
    call_command("migrate", verbosity=0)


@pytest.fixture(scope="session")
async def application(registry: None) -> AsyncIterator[Application]:
    """The ASGI application, started as a server starts it."""
    assert await asgi_application.start() == []
    yield asgi_application
    await asgi_application.stop()
