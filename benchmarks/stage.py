"""The stage on which all services play: one database, one tenant, its key and conversations."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import django
import orjson
from asgiref.sync import async_to_sync
from django.core.management import call_command

from project.dev.database import ensure_database
from project.dev.settings import ENV_PREFIX

SERVICES = ("ours", "bare", "fastapi")
PAGE_MESSAGES = 50
POOL_SIZE = 10
# One for each connection of the load driver, so that appends don't wait for each other's rows.
_LOGS_PER_SERVICE = 16
_VARIABLE = "BENCHMARK_STAGE"


@dataclass(frozen=True)
class Stage:
    """What a service and the load driver must know.

    page: a conversation of 50 messages with two tool calls each, which all services read.
    logs: by service, the conversations it appends to, so that each finds the same rows there.
    """

    runtime_url: str
    schema: str
    api_key: str
    page: str
    logs: dict[str, list[str]]

    def to_environment(self) -> dict[str, str]:
        return {_VARIABLE: orjson.dumps(asdict(self)).decode()}

    @classmethod
    def from_environment(cls) -> "Stage":
        return cls(**orjson.loads(os.environ[_VARIABLE]))


def message_body(number: int) -> bytes:
    """An append's body: one message with two tool calls, whose ids the number makes unique."""
    calls = [
        {
            "call_id": f"call_{number:012d}_{index}",
            "name": "get_forecast",
            "arguments": {"city": "Oslo", "days": 2, "units": {"temperature": "celsius"}},
        }
        for index in range(2)
    ]
    return orjson.dumps(
        {
            "role": "assistant",
            "content": "Let me look at the forecast for Saturday and Sunday, hour by hour. " * 3,
            "model": "example-model-1",
            "token_count": 57,
            "tool_calls": calls,
        }
    )


@contextmanager
def set_stage(server_settings: dict[str, str] | None = None) -> Iterator[Stage]:
    """A fresh embedded PostgreSQL with one tenant, for as long as the block runs."""
    with serve_database(server_settings):
        yield async_to_sync(_make_tenant)()


@contextmanager
def serve_database(
    server_settings: dict[str, str] | None = None, **settings: str
) -> Iterator[None]:
    """A fresh embedded PostgreSQL, migrated, with Django set up on it, while the block runs.

    The server has its durable defaults (fsync and synchronous_commit are on), as a user's has.
    settings: of Tenantry, by their names in upper case.
    """
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        if name != f"{ENV_PREFIX}POSTGRES_BIN_DIR":
            del os.environ[name]
    with TemporaryDirectory(prefix="tenantry-bench-", ignore_cleanup_errors=True) as folder:
        # Under root the server runs as an account that must be able to pass through here.
        Path(folder).chmod(0o711)
        os.environ[f"{ENV_PREFIX}DATA_DIR"] = str(Path(folder) / "data")
        os.environ[f"{ENV_PREFIX}POOL_SIZE"] = str(POOL_SIZE)
        # Ours is measured as it serves in production: JSON log lines, all of them.
        os.environ[f"{ENV_PREFIX}ENVIRONMENT"] = "production"
        os.environ.update({f"{ENV_PREFIX}{name}": value for name, value in settings.items()})
        with ensure_database(server_settings=server_settings):
            os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"
            django.setup()
            call_command("migrate", verbosity=0)
            yield


async def _make_tenant() -> Stage:
    from conversations import schemas, service
    from tenants import lifecycle
    from tenants.actor import acting_command
    from tenants.db.engine import dispose_engines
    from tenants.db.unit_of_work import write_session

    onboarded = await lifecycle.create_tenant("bench", "Bench", by=acting_command())
    tenant = onboarded.tenant
    logs: dict[str, list[str]] = {name: [] for name in SERVICES}
    try:
        async with write_session(tenant.ref) as session:
            for _ in range(_LOGS_PER_SERVICE):
                for ids in logs.values():
                    new = schemas.NewConversation(user_id="user-1", metadata={"channel": "web"})
                    ids.append((await service.start_conversation(session, new))["id"])
            messages = [
                schemas.NewMessage.model_validate_json(message_body(number))
                for number in range(PAGE_MESSAGES)
            ]
            page = await service.start_conversation(
                session, schemas.NewConversation(messages=messages)
            )
    finally:
        await dispose_engines()
    runtime_url = os.environ[f"{ENV_PREFIX}RUNTIME_URL"]
    return Stage(runtime_url, tenant.ref.schema, onboarded.key.text, page["id"], logs)


async def count_rows(stage: Stage, service: str) -> tuple[int, int]:
    """Messages and tool calls in a service's conversations.

    Raises ValueError if one has a gap: its positions must be 1 to the number of its messages.
    """
    owner = await asyncpg.connect(os.environ[f"{ENV_PREFIX}OWNER_URL"])
    try:
        ids = [conversation.removeprefix("conv_") for conversation in stage.logs[service]]
        rows = await owner.fetch(
            f"""
            SELECT c.last_seq, count(m.id) AS messages, coalesce(max(m.seq), 0) AS newest,
                   sum((SELECT count(*) FROM {stage.schema}.tool_calls t
                        WHERE t.message_id = m.id)) AS calls
            FROM {stage.schema}.conversations c
            LEFT JOIN {stage.schema}.messages m ON m.conversation_id = c.id
            WHERE c.id = ANY($1::uuid[]) GROUP BY c.id
            """,
            ids,
        )
    finally:
        await owner.close()
    if any(not row["messages"] == row["newest"] == row["last_seq"] for row in rows):
        raise ValueError(f"{service} left gaps in its conversations")
    return sum(row["messages"] for row in rows), int(sum(row["calls"] or 0 for row in rows))
