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
