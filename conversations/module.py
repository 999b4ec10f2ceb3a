"""Hands the module to the engine."""

from functools import partial
from pathlib import Path

from conversations import jobs, service
from conversations.models import Base
from conversations.router import openai, openai_errors, router
from conversations.settings import ConversationsSettings
from tenants.module import Hooks, Module, Wire
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
    wires=(
        Wire(
            prefix="openai/v1",
            router=openai.router,
            render_error=openai_errors.render_error,
            statuses=openai_errors.STATUSES,
        ),
    ),
    hooks=Hooks(tenant_deleted=partial(jobs.remove_files, TenantFiles)),
)
