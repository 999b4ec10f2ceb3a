"""People who sign in, and which tenants they are members of."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models.functions import Lower

from tenants.ids import new_id
from tenants.models.registry import Tenant


class User(AbstractUser):
    """A person who signs in: an operator of the installation or a member of tenants."""

    class Meta(AbstractUser.Meta):
        ordering: ClassVar[list[str]] = ["username"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                Lower("email"), condition=~models.Q(email=""), name="tenants_user_email_key"
            ),
        ]
        indexes: ClassVar[list[models.Index]] = [
            # For searching by how they begin, whatever the database's collation.
            models.Index(
                OpClass(Lower("username"), name="text_pattern_ops"), name="tenants_user_name_idx"
            ),
            models.Index(
                OpClass(Lower("email"), name="text_pattern_ops"), name="tenants_user_mail_idx"
            ),
        ]


# As long as a username may be, for members sign in with it.
EMAIL_LENGTH = 150


class Role(models.TextChoices):
    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Membership(models.Model):
    """A person's role in a tenant: invited while there is no user, then a member.

    email: the address that was invited. invited_at also tells the newest invitation, the only
    one that counts, from those before it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        User, on_delete=models.CASCADE, related_name="memberships", null=True, blank=True
    )
    email = models.EmailField(max_length=EMAIL_LENGTH)
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    invited_at = models.DateTimeField(null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering: ClassVar[list[str]] = ["id"]
        constraints: ClassVar[list[Any]] = [
            models.UniqueConstraint(
                fields=["user", "tenant"], name="tenants_membership_user_tenant_key"
            ),
            models.UniqueConstraint(
                fields=["tenant", "email"], name="tenants_membership_tenant_email_key"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="tenants_membership_role_check"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} is {self.role} of {self.tenant}"
