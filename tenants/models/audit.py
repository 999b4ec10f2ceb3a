"""Who did what to which tenant. Written by `tenants.audit`, and never changed."""

from typing import ClassVar

from django.db import models

from tenants.ids import new_id


class AuditEntry(models.Model):
    """One thing that was done.

    The table belongs to the owner login and Django's login may only read it and add to it, hence
    not managed by Django; `migrations/0004_audit_log.py` makes it. It names a tenant by value,
    for it outlives the tenant.
    action: such as `tenant.suspended`. target: the key, host, member or module, where it is one.
    details: what changed, as `{"field": [before, after]}`, or what was given.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(auto_now_add=True)
    actor_kind = models.TextField()
    actor_id = models.TextField()
    actor_name = models.TextField()
    address = models.TextField()
    request_id = models.TextField()
    action = models.TextField()
    tenant_id = models.UUIDField(null=True)
    tenant_slug = models.TextField()
    target = models.TextField()
    details = models.JSONField(default=dict)

    class Meta:
        managed = False
        db_table = '"tenantry"."audit_log"'
        ordering: ClassVar[list[str]] = ["-id"]
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.action} {self.tenant_slug}"
