"""The registry: who the tenants are and who may enter them. Django's tables, in `public`.

No table of a tenant's schema refers to these: the registry and the tenants' data may live in
different databases.
"""

from tenants.models.audit import AuditEntry
from tenants.models.jobs import JobPass
from tenants.models.keys import ApiKey, Creation, OperatorKey
from tenants.models.members import Membership, Role, User
from tenants.models.registry import Domain, RegistryVersion, Tenant, TenantStatus
from tenants.models.rollouts import Rollout, RolloutAttempt, RolloutStatus

__all__ = [
    "ApiKey",
    "AuditEntry",
    "Creation",
    "Domain",
    "JobPass",
    "Membership",
    "OperatorKey",
    "RegistryVersion",
    "Role",
    "Rollout",
    "RolloutAttempt",
    "RolloutStatus",
    "Tenant",
    "TenantStatus",
    "User",
]
