"""Hands the module to the engine."""

from functools import partial
from pathlib import Path

from conversations import jobs, service
from conversations.models import Base
from conversations.router import openai, openai_errors, router
from conversations.service import imports
from conversations.settings import ConversationsSettings, get_settings
from tenants.module import Hooks, Job, Module, Transfer, Wire
from tenants.storage import TenantFiles

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
    wires=(
        Wire(
            prefix="openai/v1",
            router=openai.router,
            render_error=openai_errors.render_error,
            statuses=openai_errors.STATUSES,
        ),
    ),
    transfer=Transfer(write=service.stream_all, read=imports.import_file),
    hooks=Hooks(tenant_deleted=partial(jobs.remove_files, TenantFiles)),
    jobs=(
        Job(
            name="expire_calls",
            every_seconds=_settings.expire_calls_every_seconds,
            run=jobs.expire_calls,
        ),
        Job(
            name="finish_erasures",
            every_seconds=_settings.finish_erasures_every_seconds,
            run=partial(jobs.finish_erasures, TenantFiles),
        ),
        Job(
            name="erase_due",
            every_seconds=_settings.erase_due_every_seconds,
            run=partial(jobs.erase_due, TenantFiles),
        ),
        Job(
            name="forget_answers",
            every_seconds=_settings.forget_answers_every_seconds,
            run=jobs.forget_answers,
        ),
        Job(
            name="reindex_messages",
            every_seconds=_settings.reindex_messages_every_seconds,
            run=jobs.reindex_messages,
        ),
        Job(
            name="remove_stray_files",
            every_seconds=_settings.remove_stray_files_every_seconds,
            run=partial(jobs.remove_stray_files, TenantFiles),
        ),
    ),
)
