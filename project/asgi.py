"""The ASGI application: its start and end, and HTTP through the gateway."""

import asyncio
import gc
import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)

import asyncpg  # noqa: E402  # Django's apps must be ready before what follows is imported.
import structlog  # noqa: E402
from django.conf import settings as django_settings  # noqa: E402
from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.core.handlers.asgi import ASGIHandler  # noqa: E402
from django.urls import get_resolver  # noqa: E402

from project.gateway import Gateway  # noqa: E402
from project.handler import Receive, Scope, Send  # noqa: E402
from project.logging import set_up_logging  # noqa: E402
from project.settings import Settings  # noqa: E402
from project.threads import registry_threads  # noqa: E402
from tenants.db.engine import dispose_engines  # noqa: E402
from tenants.directory import Directory, get_directory, set_directory  # noqa: E402
from tenants.errors import DatabaseUnavailable  # noqa: E402
from tenants.jobs import keep_running_jobs  # noqa: E402
from tenants.lifecycle import keep_filled  # noqa: E402
from tenants.lifecycle.owner import close_owner_connections, keep_owner_connections  # noqa: E402
from tenants.logins import find_problems  # noqa: E402
from tenants.rollouts import interrupt_all  # noqa: E402
from tenants.running import running  # noqa: E402
from tenants.streams import hub  # noqa: E402

log = structlog.get_logger(__name__)

_COLLECT_AFTER = 10_000


class Application:
    """Tenantry as an ASGI server sees it."""

    def __init__(self) -> None:
        self.settings: Settings = django_settings.TENANTRY
        self._gateway = Gateway(self.settings, ASGIHandler())
        self._beside: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._gateway(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})

    async def start(self) -> list[str]:
        """Get ready to serve. Returns what stands in the way, a sentence each."""
        try:
            problems = await find_problems(self.settings)
            if not problems:
                get_resolver().url_patterns  # noqa: B018  # Loads the modules: clashes show now.
                directory = Directory(self.settings, on_change=running.check_all)
                await directory.start()
                set_directory(directory)
                hub.start()
                keep_owner_connections()
                if self.settings.spares:
                    self._beside.append(asyncio.create_task(keep_filled(), name="spares"))
                if self.settings.jobs_at_once:
                    self._beside.append(asyncio.create_task(keep_running_jobs(), name="jobs"))
        except DatabaseUnavailable as error:
            return [f"the registry can't be read ({error.__cause__}); run `manage.py migrate`"]
        except (asyncpg.PostgresError, OSError) as error:
            return [f"the runtime login can't reach the database: {error}"]
        except ImproperlyConfigured as error:
            return str(error).splitlines()
        return problems

    async def stop(self) -> None:
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        self._beside.clear()
        await interrupt_all()
        await hub.stop()
        await get_directory().stop()
        set_directory(None)
        await registry_threads.close_connections()
        await close_owner_connections()
        await dispose_engines()

    async def _live(self, receive: Receive, send: Send) -> None:
        in_production = self.settings.environment == "production"
        log_format = self.settings.log_format or ("json" if in_production else "console")
        set_up_logging({"log_format": log_format, "level": self.settings.log_level})
        await receive()
        problems = await self.start()
        for problem in problems:
            log.error("start.refused", reason=problem)
        if problems:
            message: dict[str, Any] = {"type": "lifespan.startup.failed"}
            await send({**message, "message": "; ".join(problems)})
            return
        # What start-up has made stays: a full collection took 80 ms to look at it, every few
        # hundred requests.
        gc.collect()
        gc.freeze()
        # Requests leave few cycles behind; to look for them after every 700 objects took 2.5 % of
        # the processor time of an append.
        gc.set_threshold(_COLLECT_AFTER, *gc.get_threshold()[1:])
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})


application = Application()
