"""What the management API takes: nothing unknown, nothing converted.

Only shapes are checked here; what a slug, a scope or an address may be is for the lifecycle to
say, in the same words everywhere.
"""

from typing import Annotated, Any

from ninja import Header
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from tenants.lifecycle import DEFAULT_OVERLAP, DEFAULT_SCOPES
from tenants.lifecycle.keys import MAX_OVERLAP
from tenants.limits import Limits
from tenants.models import Role, TenantStatus
from tenants.rollouts import Options

# Printable ASCII; the length is what others accept.
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="Send the same again with a repeated request, and it is done only once.",
    ),
]


def _check_canary(value: Any) -> Any:
    """A union would name each of its members as a field that is wrong."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("must be a number, or the name of a group")
    return value


Canary = Annotated[
    Any,
    AfterValidator(_check_canary),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}]}),
]
_USUAL = Options()


class Input(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class NewTenant(Input):
    """modules: all that are loaded if not given. plan: the first of the settings if not given.

    owner_email: who is invited to be the tenant's owner.
    """

    slug: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme Inc."])
    modules: list[str] | None = None
    plan: str | None = None
    limits: Limits = Limits()
    owner_email: str | None = Field(default=None, examples=["owner@example.com"])


class TenantChanges(Input):
    """What is absent stays. limits: replaces all that were set."""

    slug: str | None = None
    name: str | None = None
    plan: str | None = None
    limits: Limits | None = None


class Confirmation(Input):
    """slug: the tenant's slug once more, since this can't be undone."""

    slug: str = Field(examples=["acme"])


class NewKey(Input):
    name: str = Field(examples=["Production"])
    scopes: list[str] = Field(default=[str(scope) for scope in DEFAULT_SCOPES])
    # A time is a text in JSON, which is the one conversion that there is.
    expires_at: Annotated[AwareDatetime | None, Field(strict=False)] = None


class Rotation(Input):
    """overlap_seconds: how long the old key goes on working."""

    overlap_seconds: int = Field(
        default=int(DEFAULT_OVERLAP.total_seconds()), ge=0, le=int(MAX_OVERLAP.total_seconds())
    )


class NewDomain(Input):
    host: str = Field(examples=["chat.example.com"])


class NewMember(Input):
    email: str = Field(examples=["anna@example.com"])
    role: str = Field(default=str(Role.MEMBER), examples=[*Role.values])


class MemberChanges(Input):
    role: str = Field(examples=[*Role.values])


class PageQuery(Input):
    model_config = ConfigDict(extra="forbid", strict=False)

    limit: int = Field(default=20, ge=1, le=100)
    after: str | None = Field(default=None, description="`next_cursor` of the page before.")


class TenantQuery(PageQuery):
    status: TenantStatus | None = None
    plan: str | None = None
    search: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Words, or their beginnings, that the slug or the name has.",
    )


class RolloutOptions(Input):
    """As `tenants.rollouts.Options`, without what runs commands on the machine that serves.

    canary: so many tenants go first, or those of this group in the settings. pause: stop after
    them. max_failures: stop when so many tenants have failed; with `%`, of those planned.
    """

    canary: Canary = Field(default=_USUAL.canary, examples=[20])
    pause: bool = _USUAL.pause
    concurrency: int = _USUAL.concurrency
    max_failures: str = Field(default=_USUAL.max_failures, examples=["5%"])
    lock_timeout_ms: int = _USUAL.lock_timeout_ms
    retries: int = _USUAL.retries


class NewRollout(RolloutOptions):
    """tenants: slugs. modules: names. Each stands for all if not given.

    targets: revision by module, where not its head; null is the empty schema.
    """

    tenants: list[str] | None = None
    modules: list[str] | None = None
    targets: dict[str, str | None] | None = None


class PlanQuery(Input):
    model_config = ConfigDict(extra="forbid", strict=False)

    tenant: list[str] | None = Field(default=None, description="A slug; repeatable.")
    module: list[str] | None = Field(default=None, description="A module's name; repeatable.")


class AttemptQuery(PageQuery):
    succeeded: bool | None = None


class AuditFilter(Input):
    model_config = ConfigDict(extra="forbid", strict=False)

    tenant: str | None = Field(default=None, description="A slug, also of an erased tenant.")
    action: str | None = Field(default=None, examples=["tenant.suspended"])
    actor: str | None = Field(
        default=None, description="An operator key's public id, a user's id or an account's name."
    )


class AuditQuery(AuditFilter, PageQuery):
    pass
