"""The engine's own settings; `project.settings` adds the service's and reads the environment."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import NoDecode
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError


def _parse_list(value: Any) -> Any:
    """What the environment holds is text; read here, a mistake is reported like any other."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError('must be a JSON list such as ["one", "two"]') from None


JsonList = Annotated[list[str], NoDecode, BeforeValidator(_parse_list)]


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
    connect_timeout_seconds: float = Field(
        default=3.0, gt=0, description="How long to wait for a new database connection."
    )
    statement_timeout_seconds: float = Field(
        default=10.0, gt=0, description="How long one statement of the tenant API may run."
    )
    lock_timeout_seconds: float = Field(
        default=3.0, gt=0, description="How long one statement may wait for a lock."
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

    @field_validator("base_domain")
    @classmethod
    def _is_lower_case(cls, value: str) -> str:
        return value.lower().strip(".")
