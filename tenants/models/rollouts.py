"""The ledger of rollouts: which ran, and how it went for each tenant.

It records; what has been done to a schema is what its stamps say, written with the change itself.
A run that was killed has its rows up to half a second before, and is resumed from the stamps.
"""

from typing import Any, ClassVar

from django.db import models

from tenants.ids import new_id


class RolloutStatus(models.TextChoices):
    """interrupted: its runner has died, which the next runner notices."""

    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Rollout(models.Model):
    """Revisions carried to the fleet.

    targets: revision by module, null for the empty schema. scope: `tenants` and `modules` that it
    is restricted to, null for all. options: as `tenants.rollouts.Options`.
    runner: who carries it out now, until the lease ends unless it is renewed.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    targets = models.JSONField(default=dict)
    scope = models.JSONField(default=dict)
    options = models.JSONField(default=dict)
    status = models.CharField(
        max_length=12, choices=RolloutStatus.choices, default=RolloutStatus.RUNNING
    )
    started_by = models.TextField()
    note = models.TextField(blank=True)
    planned = models.IntegerField(default=0)
    migrated = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    runner = models.TextField(blank=True)
    lease_ends_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["-id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["status"],
                condition=models.Q(status=RolloutStatus.RUNNING),
                name="tenants_rollout_running_key",
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class RolloutAttempt(models.Model):
    """How a rollout went for one tenant, or for a spare, which has no slug.

    revisions: the new revision of each module that was carried. error: why it failed, if it did;
    the schema is then at its last segment's end. tries: 1, and one more for each retry.
    """

    rollout = models.ForeignKey(
        Rollout, on_delete=models.CASCADE, related_name="attempts", db_index=False
    )
    tenant_id = models.UUIDField()
    slug = models.CharField(max_length=40, blank=True)
    succeeded = models.BooleanField()
    revisions = models.JSONField(default=dict)
    error = models.TextField(blank=True)
    tries = models.SmallIntegerField(default=1)
    milliseconds = models.FloatField()
    at = models.DateTimeField()

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["rollout", "tenant_id", "at"], name="tenants_attempt_key"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            models.Index(fields=["rollout", "id"], name="tenants_attempt_order_idx"),
            models.Index(fields=["rollout", "succeeded", "id"], name="tenants_attempt_outcome_idx"),
            models.Index(fields=["tenant_id", "id"], name="tenants_attempt_tenant_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.slug or self.tenant_id}: {self.error or 'migrated'}"
