"""What administrators run into."""

from collections.abc import Mapping
from typing import ClassVar

from tenants.errors.base import ApplicationError, Conflict, InvalidInput, NotFound


class TenantNotFound(NotFound):
    code = "tenant_not_found"

    def __init__(self, slug: str) -> None:
        super().__init__(f"There is no tenant `{slug}`.")


class KeyNotFound(NotFound):
    code = "key_not_found"

    def __init__(self, public_id: str) -> None:
        super().__init__(f"There is no API key `{public_id}` of this tenant.")


class SlugTaken(Conflict):
    code = "slug_taken"

    def __init__(self, slug: str) -> None:
        super().__init__(f"The slug `{slug}` is taken.")


class WrongState(Conflict):
    code = "wrong_state"


class StampMismatch(Conflict):
    """A schema isn't at the revision that its stamp says; nothing was changed."""

    code = "stamp_mismatch"


class UnknownRevision(InvalidInput):
    code = "unknown_revision"

    def __init__(self, module: str, revision: str) -> None:
        super().__init__(f"The module `{module}` has no revision `{revision}` in this release.")


class BrokenRevision(InvalidInput):
    """A revision that can't be rendered as SQL, for any schema."""

    code = "broken_revision"

    def __init__(self, revision: str, reason: str) -> None:
        super().__init__(
            f"The revision `{revision}` can't be rendered: {reason}. If it has to read or write "
            "rows in Python, say `online = True` in it."
        )


class RolloutNotFound(NotFound):
    code = "rollout_not_found"

    def __init__(self, rollout_id: str) -> None:
        super().__init__(f"There is no rollout `{rollout_id}`.")


class RolloutRunning(Conflict):
    """Another runner carries the fleet; two would only stand in each other's way."""

    code = "rollout_running"


class ConfirmationMismatch(InvalidInput):
    code = "confirmation_mismatch"
    message = "The confirmation is not the tenant's slug; nothing was erased."


class KeyEnded(Conflict):
    code = "key_ended"

    def __init__(self, public_id: str) -> None:
        super().__init__(f"The API key `{public_id}` is revoked or expired; issue another.")


class LimitReached(Conflict):
    """name: a field of `tenants.limits.Limits`."""

    code = "limit_reached"

    def __init__(self, name: str, limit: int) -> None:
        super().__init__(f"The tenant's limit `{name}` is {limit}, and is reached.")


class DomainNotFound(NotFound):
    code = "domain_not_found"

    def __init__(self, host: str) -> None:
        super().__init__(f"There is no domain `{host}` of this tenant.")


class DomainTaken(Conflict):
    code = "domain_taken"

    def __init__(self, host: str) -> None:
        super().__init__(f"The domain `{host}` is verified for another tenant.")


class DomainNotVerified(Conflict):
    """DNS doesn't have the record that is to be set; nothing has changed."""

    code = "domain_not_verified"

    def __init__(self, name: str, value: str) -> None:
        super().__init__(f'DNS has no TXT record "{value}" at {name}. Set it, and verify again.')


class DnsUnavailable(ApplicationError):
    status = 503
    code = "dns_unavailable"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "5"}

    def __init__(self, name: str) -> None:
        super().__init__(f"DNS could not be asked for {name}. Try again.")


class MemberNotFound(NotFound):
    code = "member_not_found"

    def __init__(self, reference: str) -> None:
        super().__init__(f"There is no member `{reference}` of this tenant.")


class AlreadyMember(Conflict):
    code = "already_member"

    def __init__(self, email: str) -> None:
        super().__init__(f"`{email}` is a member already; change the role instead.")


class LastOwner(Conflict):
    code = "last_owner"
    message = "The tenant would be left without an owner. Make another member an owner first."


class OwnerRequired(ApplicationError):
    status = 403
    code = "owner_required"
    message = "Only an owner can make, change or remove an owner."


class InvitationInvalid(NotFound):
    code = "invitation_invalid"
    message = "This invitation does not exist any more. Ask for a new one."


class InvitationExpired(InvitationInvalid):
    code = "invitation_expired"
    message = "This invitation has expired. Ask for a new one."


class AccountExists(Conflict):
    code = "account_exists"
    message = "There is an account with this e-mail address. Sign in to accept the invitation."


class OperatorNotFound(NotFound):
    code = "operator_not_found"

    def __init__(self, public_id: str) -> None:
        super().__init__(f"There is no operator's key `{public_id}`.")


class IdempotencyKeyReused(InvalidInput):
    code = "idempotency_key_reused"
    message = "This Idempotency-Key was sent with another request. Send a new one."


class CreationInProgress(Conflict):
    """Another request holds the slug; it may be the one that this one repeats."""

    code = "creation_in_progress"
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}

    def __init__(self, slug: str) -> None:
        super().__init__(f"`{slug}` is being created at this moment. Repeat to learn the outcome.")


class CreationGone(Conflict):
    code = "creation_gone"
    message = "What this Idempotency-Key created has been erased since. Send a new one."


class BackupUnusable(InvalidInput):
    code = "backup_unusable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The backup can't be restored: {reason}.")


class BackupTooNew(InvalidInput):
    """what: the revision or the server that it is of."""

    code = "backup_too_new"

    def __init__(self, what: str) -> None:
        super().__init__(f"The backup is of {what}, which isn't known here; nothing was restored.")


class BackupFailed(ApplicationError):
    code = "backup_failed"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The backup could not be written: {reason}.")


class ProgramMissing(ApplicationError):
    """older: what was found instead."""

    code = "program_missing"

    def __init__(self, name: str, version: int, older: list[str]) -> None:
        found = f" ({'; '.join(older)})" if older else ""
        super().__init__(
            f"`{name}` of PostgreSQL {version} or newer is needed and wasn't found{found}. Install "
            "it, or name its folder in TENANTRY_POSTGRES_BIN_DIR."
        )


class ProgramFailed(ApplicationError):
    """What one of PostgreSQL's own programs could not do, in its own words."""

    code = "program_failed"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} failed: {reason}")
