"""Hands the module to the engine."""

from pathlib import Path

from conversations import jobs, service
from conversations.models import Base
from conversations.router import router
from conversations.settings import ConversationsSettings, get_settings
from tenants.module import Job, Module

_settings = get_settings()

module = Module(
    name="conversations",
    label="Conversations",
    version="0.1.0",
    router=router,
    metadata=Base.metadata,
    revisions=Path(__file__).parent / "revisions",
    settings=ConversationsSettings,
    usage=service.count_usage,
    jobs=(
        Job(
            name="expire_calls",
            every_seconds=_settings.expire_calls_every_seconds,
            run=jobs.expire_calls,
        ),
    ),
)
