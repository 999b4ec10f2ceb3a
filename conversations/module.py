"""Hands the module to the engine."""

from functools import partial
from pathlib import Path

from conversations import jobs, service
from conversations.models import Base
from conversations.router import router
from conversations.settings import ConversationsSettings
from tenants.module import Hooks, Module
from tenants.storage import TenantFiles

module = Module(
    name="conversations",
    label="Conversations",
    version="0.1.0",
    router=router,
    metadata=Base.metadata,
    revisions=Path(__file__).parent / "revisions",
    settings=ConversationsSettings,
    usage=service.count_usage,
    hooks=Hooks(tenant_deleted=partial(jobs.remove_files, TenantFiles)),
)
