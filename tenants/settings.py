"""The engine's own settings; `project.settings` adds the service's and reads the environment."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import NoDecode
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from tenants.limits import Limits


def _parse_json(value: Any) -> Any:
    """What the environment holds is text; read here, a mistake is reported like any other."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('must be JSON, such as ["one", "two"] or {"one": {}}') from None


JsonList = Annotated[list[str], NoDecode, BeforeValidator(_parse_json)]
JsonObject = Annotated[dict[str, Any], NoDecode, BeforeValidator(_parse_json)]
Groups = Annotated[dict[str, list[str]], NoDecode, BeforeValidator(_parse_json)]
Plans = Annotated[dict[str, Limits], NoDecode, BeforeValidator(_parse_json), Field(min_length=1)]


class EngineSettings(BaseModel):
    """Logins, pools, time limits and hosts of the tenancy engine."""

    registry_url: SecretStr = Field(
        description="PostgreSQL URL of the login that owns the registry (Django's tables)."
    )
    runtime_url: SecretStr = Field(
        description="PostgreSQL URL of the login that the tenant API uses; it can do nothing "
        "but enter tenants."
    )
    owner_url: SecretStr = Field(
        description="PostgreSQL URL of the login that owns the tenants' schemas; used for "
        "onboarding and migrations only."
    )
    postgres_bin_dir: Path | None = Field(
        default=None,
        description="Folder with PostgreSQL's programs, such as `pg_dump` for backups; by default "
        "those on the PATH, or else the embedded server's.",
    )
    modules: JsonList = Field(
        default=["conversations"],
        description="Python packages of the modules to load, as a JSON list.",
    )
    base_domain: str = Field(
        default="localhost",
        description="A tenant's requests may come to `<slug>.<base domain>`.",
    )
    allowed_hosts: JsonList = Field(
        default=["localhost", "127.0.0.1", "[::1]"],
        description="Further host names that serve the API by key, the admin and the docs, "
        "as a JSON list.",
    )
    public_url: str = Field(
        default="http://localhost:8000",
        description="Where people reach the service; begins the links in mails.",
    )
    plans: Plans = Field(
        default={"standard": Limits()},
        description="Plans and the limits that come with them, as a JSON object such as "
        '`{"free": {"concurrent_requests": 5}, "pro": {}}`. The first is a new tenant\'s.',
    )
    canary_groups: Groups = Field(
        default={},
        description="Tenants that rollouts go to first, by the group's name, as a JSON object such "
        'as `{"staging": ["demo", "acme"]}`.',
    )
    rollout_lease_seconds: float = Field(
        default=10.0,
        ge=0.5,
        le=600,
        description="How long after its last sign of life a rollout's runner counts as alive.",
    )
    spares: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Schemas that the server makes ahead, so that onboarding takes one over "
        "instead of making it; 0 for none.",
    )
    jobs_at_once: int = Field(
        default=2,
        ge=0,
        le=100,
        description="Tenants for which a server process runs the modules' jobs at once; with 0 it "
        "runs none, and leaves them to other processes or to `manage.py run_jobs`.",
    )
    invitation_days: int = Field(
        default=7, ge=1, le=90, description="How long an invitation can be accepted."
    )
    idempotency_hours: int = Field(
        default=24,
        ge=1,
        description="How long the management API remembers an `Idempotency-Key`.",
    )
    dns_servers: JsonList = Field(
        default=[],
        description="Name servers that are asked for a domain's TXT record, as a JSON list of "
        "`address` or `address:port`; the machine's own if empty.",
    )
    dns_timeout_seconds: float = Field(
        default=5.0, gt=0, le=30, description="How long to wait for their answer."
    )
    pool_size: int = Field(
        default=10,
        ge=1,
        le=1000,
        description="Connections to the tenants' database per process, at the most.",
    )
    pool_timeout_seconds: float = Field(
        default=1.0, gt=0, le=30, description="How long a request waits for a free connection."
    )
    pool_recycle_seconds: int = Field(
        default=1800,
        ge=1,
        description="Age at which a connection is replaced, so that its backend gives back "
        "the catalog memory of all tenants it has served.",
    )
    pool_recycle_tenants: int = Field(
        default=1000,
        ge=1,
        description="How many tenants a connection serves before it is replaced. Its backend "
        "remembers the tables of each, in about a quarter of a megabyte.",
    )
    pool_statements: int = Field(
        default=2000,
        ge=0,
        description="How many statements a connection keeps prepared for single tenants, so that "
        "PostgreSQL needn't plan them anew for each; about a sixth of a megabyte each. The least "
        "recently used gives way.",
    )
    connect_timeout_seconds: float = Field(
        default=3.0, gt=0, description="How long to wait for a new database connection."
    )
    statement_timeout_seconds: float = Field(
        default=10.0, gt=0, description="How long one statement of the tenant API may run."
    )
    lock_timeout_seconds: float = Field(
        default=3.0, gt=0, description="How long one statement may wait for a lock."
    )
    transaction_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        description="How old a transaction of the tenant API that writes may be when it commits; "
        "an older one is rolled back.",
    )
    clock_skew_seconds: float = Field(
        default=5.0,
        ge=0,
        description="How far the clocks of the machines that serve may be apart.",
    )
    stream_poll_seconds: float = Field(
        default=0.3,
        gt=0,
        le=60,
        description="How often a process looks for what its event streams wait for, by one query "
        "for each tenant that has any.",
    )
    stream_notices: bool = Field(
        default=True,
        description="Whether processes tell each other of writes by NOTIFY, over one more "
        "connection of the runtime login each. Turn it off behind a transaction pooler.",
    )
    stream_heartbeat_seconds: float = Field(
        default=15.0,
        gt=0,
        le=3600,
        description="How often an event stream without events is sent a comment.",
    )
    stream_retry_seconds: float = Field(
        default=2.0,
        ge=0,
        le=3600,
        description="How long a reader is told to wait before it connects again.",
    )
    stream_send_timeout_seconds: float = Field(
        default=30.0,
        gt=0,
        description="How long a reader may take to read what it is sent before it is cut off; of "
        "every answer that is streamed.",
    )
    streams_per_tenant: int = Field(
        default=1000,
        ge=1,
        description="Event streams that a tenant may have open in one process, where no limit "
        "`concurrent_streams` is set for it.",
    )
    registry_poll_interval_seconds: float = Field(
        default=0.25, gt=0, le=0.5, description="How often a process asks what has changed."
    )
    registry_trust_seconds: float = Field(
        default=1.0,
        gt=0,
        le=1.0,
        description="How long a process trusts what it knows of keys and tenants without "
        "having heard from the registry.",
    )

    @field_validator("registry_url", "runtime_url", "owner_url")
    @classmethod
    def _is_postgresql_url(cls, value: SecretStr) -> SecretStr:
        try:
            url = make_url(value.get_secret_value())
        except (ArgumentError, ValueError):  # The latter for a port that is no number.
            raise ValueError("is not a URL such as postgresql://user:password@host/db") from None
        if url.drivername not in {"postgresql", "postgres"}:
            raise ValueError("must begin with postgresql://")
        if not url.username or not url.database:
            raise ValueError("must name a user and a database")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^/?#\s]+/?", value):
            raise ValueError("must be scheme and host only, such as https://tenantry.example.com")
        return value.rstrip("/")

    @field_validator("base_domain")
    @classmethod
    def _is_lower_case(cls, value: str) -> str:
        return value.lower().strip(".")
