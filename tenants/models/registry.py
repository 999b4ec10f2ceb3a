"""Tenants, their host names, and the counter that tells every process of changes."""

from typing import Any, ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.core.validators import RegexValidator
from django.db import models

from tenants.apps import get_settings
from tenants.ids import new_id
from tenants.limits import merge_limits
from tenants.names import HOST_PATTERN, SLUG_PATTERN
from tenants.tenant import TenantRef


class Words(models.Func):
    """The words of some columns, cut at all that is neither letter nor digit, for searching.

    PostgreSQL's own parser would take `acme-007` for a word and the number -7.
    """

    template = "to_tsvector('simple', regexp_replace(%(expressions)s, '[^[:alnum:]]+', ' ', 'g'))"
    arg_joiner = " || ' ' || "
    output_field = SearchVectorField()


class TenantStatus(models.TextChoices):
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"


class Tenant(models.Model):
    """A customer, whose data lives in a PostgreSQL schema of its own.

    The id never changes and names the schema and the role; the slug may change at any time.
    plan: a name of the setting `plans`. limits: what was agreed beyond the plan, by the names of
    `tenants.limits.Limits`.
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
    plan = models.CharField(max_length=40, default="standard")
    limits = models.JSONField(default=dict, blank=True)
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
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["status", "slug"], name="tenants_tenant_status_idx"),
            models.Index(fields=["plan", "slug"], name="tenants_tenant_plan_idx"),
            GinIndex(Words("slug", "name"), name="tenants_tenant_words_idx"),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def ref(self) -> TenantRef:
        limits = merge_limits(get_settings().plans.get(self.plan), self.limits)
        return TenantRef(
            self.id, self.slug, frozenset(self.modules), self.database, limits.retention_days
        )

    @property
    def schema(self) -> str:
        return self.ref.schema


class Domain(models.Model):
    """A host name of a tenant's own, besides `<slug>.<base domain>`.

    It counts once it is verified: whoever can write `token` into its DNS owns it. Until then any
    number of tenants may claim it.
    """

    host = models.CharField(
        max_length=253,
        validators=[RegexValidator(HOST_PATTERN)],
        help_text="Lower-case host name without a port, such as chat.example.com.",
    )
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="domains")
    token = models.CharField(max_length=64, editable=False)
    verified_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["host"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["host", "tenant"], name="tenants_domain_host_tenant_key"
            ),
            models.UniqueConstraint(
                fields=["host"],
                condition=models.Q(verified_at__isnull=False),
                name="tenants_domain_verified_host_key",
            ),
        ]

    def __str__(self) -> str:
        return self.host


class RegistryVersion(models.Model):
    """One row that every change to what processes keep in memory increments, by trigger.

    Each process polls it (`tenants/directory.py`), and forgets what it knew when it changes.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    version = models.BigIntegerField(default=1)

    def __str__(self) -> str:
        return str(self.version)
