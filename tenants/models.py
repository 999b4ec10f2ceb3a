"""The registry: who the tenants are and who may enter them. Django's tables, in `public`.

No table of a tenant's schema refers to these: the registry and the tenants' data may live in
different databases.
"""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.validators import RegexValidator
from django.db import models

from tenants.ids import new_id
from tenants.names import HOST_PATTERN, SLUG_PATTERN
from tenants.tenant import TenantRef


class User(AbstractUser):
    """A person who signs in: an operator of the installation or a member of tenants."""


class TenantStatus(models.TextChoices):
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"


class Tenant(models.Model):
    """A customer, whose data lives in a PostgreSQL schema of its own.

    The id never changes and names the schema and the role; the slug may change at any time.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    slug = models.CharField(
        max_length=40,
        unique=True,
        validators=[RegexValidator(SLUG_PATTERN)],
        help_text="3 to 40 lower-case letters, digits and inner hyphens.",
    )
    name = models.CharField(max_length=200)
    status = models.CharField(
        max_length=20, choices=TenantStatus.choices, default=TenantStatus.PROVISIONING
    )
    modules = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    database = models.CharField(max_length=40, default="default", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["slug"]
        constraints: ClassVar[list[Any]] = [
            models.CheckConstraint(
                condition=models.Q(status__in=TenantStatus.values),
                name="tenants_tenant_status_check",
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def ref(self) -> TenantRef:
        return TenantRef(self.id, self.slug, frozenset(self.modules), self.database)

    @property
    def schema(self) -> str:
        return self.ref.schema


class Domain(models.Model):
    """A host name of a tenant's own, besides `<slug>.<base domain>`."""

    host = models.CharField(
        max_length=253,
        unique=True,
        validators=[RegexValidator(HOST_PATTERN)],
        help_text="Lower-case host name without a port, such as chat.example.com.",
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="domains")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["host"]

    def __str__(self) -> str:
        return self.host


class ApiKey(models.Model):
    """A key to one tenant. The key itself is shown once and never stored.

    secret_hash: SHA-256 of the whole key, which carries 190 random bits, so that a slow
    password hash would add nothing.
    """

    public_id = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.BinaryField(max_length=32, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    scopes = ArrayField(models.CharField(max_length=20), default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-created_at"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.public_id})"


class Role(models.TextChoices):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Membership(models.Model):
    """A user's role in a tenant."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["user", "tenant"], name="tenants_membership_user_tenant_key"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="tenants_membership_role_check"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.tenant}"


class RegistryVersion(models.Model):
    """One row that every change to what processes keep in memory increments, by trigger.

    Each process polls it (`tenants/directory.py`), and forgets what it knew when it changes.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return str(self.version)
