"""Hands the module to the engine."""

from pathlib import Path

from conversations import service
from conversations.models import Base
from conversations.router import router
from conversations.settings import ConversationsSettings
from tenants.module import Module

module = Module(
    name="conversations",
    label="Conversations",
    version="0.1.0",
    router=router,
    metadata=Base.metadata,
    revisions=Path(__file__).parent / "revisions",
    settings=ConversationsSettings,
    usage=service.count_usage,
)
