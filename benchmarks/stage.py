"""The stage on which all services play: one database, two tenants, their keys and conversations."""

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

from benchmarks import seed
from benchmarks.messages import PAGE_MESSAGES, message_body
from project.dev.database import ensure_database
from project.dev.postgres import EmbeddedPostgres
from project.dev.settings import ENV_PREFIX

SERVICES = ("ours", "bare", "fastapi-core", "fastapi-orm", "django-orm")
POOL_SIZE = 10
# One for each connection of the load driver, so that appends don't wait for each other's rows.
LOGS = 16
# Conversations of the library, with a message each.
LIBRARY_SIZE = 10_000
SERVICE_VARIABLE = "BENCHMARK_SERVICE"
_VARIABLE = "BENCHMARK_STAGE"


@dataclass(frozen=True)
class Stage:
    """What a service and the load driver must know.

    tenants: schemas by API key, of all that the peers let in.
    page: a conversation of 50 messages with two tool calls each, which all services read.
    logs: by service, the conversations it appends to, so that each finds the same rows there.
    library_key: of a second tenant, whose conversations are listed and whose messages searched.
    """

    runtime_url: str
    tenants: dict[str, str]
    api_key: str
    page: str
    logs: dict[str, list[str]]
    library_key: str

    @property
    def schema(self) -> str:
        return self.tenants[self.api_key]

    def to_environment(self, service: str) -> dict[str, str]:
        return {_VARIABLE: orjson.dumps(asdict(self)).decode(), SERVICE_VARIABLE: service}

    @classmethod
    def from_environment(cls) -> "Stage":
        return cls(**orjson.loads(os.environ[_VARIABLE]))


@contextmanager
def set_stage(server_settings: dict[str, str] | None = None) -> Iterator[Stage]:
    """A fresh embedded PostgreSQL with the tenants, for as long as the block runs."""
    with serve_database(server_settings):
        yield async_to_sync(_make_tenants)()


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


def postgres_folder() -> Path:
    """Where the embedded server of `serve_database` keeps its data and its socket."""
    return Path(os.environ[f"{ENV_PREFIX}DATA_DIR"]) / "postgres"


@contextmanager
def join_as_superuser() -> Iterator[str]:
    """A superuser's URL of the embedded server, while the block runs."""
    server = EmbeddedPostgres(postgres_folder())
    try:
        yield server.start()
    finally:
        server.stop()


async def connect_as_owner() -> asyncpg.Connection:
    return await asyncpg.connect(os.environ[f"{ENV_PREFIX}OWNER_URL"])


async def _make_tenants() -> Stage:
    from conversations import schemas, service
    from tenants import lifecycle
    from tenants.actor import acting_command
    from tenants.db.engine import dispose_engines
    from tenants.db.unit_of_work import write_session

    main = await lifecycle.create_tenant("bench", "Bench", by=acting_command())
    library = await lifecycle.create_tenant("library", "Library", by=acting_command())
    logs: dict[str, list[str]] = {name: [] for name in SERVICES}
    try:
        async with write_session(main.tenant.ref) as session:
            for _ in range(LOGS):
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
    owner = await connect_as_owner()
    try:
        await seed.fill(owner, library.tenant.ref.schema, conversations=LIBRARY_SIZE, messages=1)
        await seed.settle(owner, library.tenant.ref.schema)
    finally:
        await owner.close()
    return Stage(
        runtime_url=os.environ[f"{ENV_PREFIX}RUNTIME_URL"],
        tenants={each.key.text: each.tenant.ref.schema for each in (main, library)},
        api_key=main.key.text,
        page=page["id"],
        logs=logs,
        library_key=library.key.text,
    )


async def count_rows(stage: Stage, service: str) -> tuple[int, int]:
    """Messages and tool calls in a service's conversations.

    Raises ValueError if one has a gap: its positions must be 1 to the number of its messages.
    """
    owner = await connect_as_owner()
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
