"""Keys of tenants and of operators, and which creations a caller has already had."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models

from tenants.models.registry import Tenant


class Key(models.Model):
    """What both kinds of keys have. The key itself is shown once and never stored.

    secret_hash: SHA-256 of the whole key, which carries 190 random bits, so that a slow
    password hash would add nothing.
    """

    public_id = models.CharField(max_length=16, unique=True, editable=False)
    secret_hash = models.BinaryField(max_length=32, editable=False)
    name = models.CharField(max_length=200)
    scopes = ArrayField(models.CharField(max_length=20), default=list)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        ordering: ClassVar[list[str]] = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.public_id})"


class ApiKey(Key):
    """A key to one tenant."""

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="api_keys")

    class Meta(Key.Meta):
        verbose_name = "API key"


class OperatorKey(Key):
    """A key to the management API, and with it to every tenant's administration."""


class Creation(models.Model):
    """A creation that a caller has named by an idempotency key, so that a repeat is recognised.

    digest: names who called and which key was sent. fingerprint: SHA-256 of what was asked.
    salt: random bytes, from which the caller's secret makes the text of the API key again.
    tenant_id, key_id: what was made; the second is an API key's public id.
    """

    digest = models.BinaryField(max_length=32, primary_key=True)
    fingerprint = models.BinaryField(max_length=32)
    salt = models.BinaryField(max_length=16)
    tenant_id = models.UUIDField()
    key_id = models.CharField(max_length=16)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    def __str__(self) -> str:
        return f"{self.key_id} of {self.tenant_id}"
