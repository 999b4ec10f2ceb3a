"""A tenant's row in the registry, and what changes it while others may want to.

The registry is Django's. Its part of an operation is a plain function under `in_registry`: one
transaction in a thread, with the audit entry in it.
"""

import functools
from collections.abc import Callable, Collection, Coroutine, Iterable
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet

from tenants import audit, errors
from tenants.actor import Actor
from tenants.apps import get_settings
from tenants.db.unit_of_work import write_session
from tenants.limits import merge_limits
from tenants.models import Tenant, TenantStatus
from tenants.module import Hook

Given = ParamSpec("Given")
ResultT = TypeVar("ResultT")

# Those whom requests can be meant for.
LIVING = frozenset({TenantStatus.ACTIVE, TenantStatus.SUSPENDED})


def in_registry(
    function: Callable[Given, ResultT],
) -> Callable[Given, Coroutine[Any, Any, ResultT]]:
    """Make a function that uses Django's ORM one that can be awaited: one transaction, in a thread.

    Raises DatabaseUnavailable (503) beside what the function raises.
    """

    @sync_to_async
    @functools.wraps(function)
    def run(*args: Given.args, **options: Given.kwargs) -> ResultT:
        try:
            with transaction.atomic():
                return function(*args, **options)
        except (InterfaceError, OperationalError) as error:
            if not connection.in_atomic_block:
                connection.close()  # The next one gets a connection that lives.
            raise errors.DatabaseUnavailable from error

    return run


@in_registry
def get_tenant(slug: str) -> Tenant:
    """Raises TenantNotFound (404)."""
    return find_tenant(slug)


def find_tenant(
    slug: str, allowed: Collection[TenantStatus] = frozenset(TenantStatus), *, lock: bool = False
) -> Tenant:
    """A tenant whose status is one of `allowed`, if asked locked until the transaction's end.

    Raises TenantNotFound (404), WrongState (409).
    """
    rows = Tenant.objects.select_for_update() if lock else Tenant.objects.all()
    tenant = rows.filter(slug=slug).first()
    if tenant is None:
        raise errors.TenantNotFound(slug)
    require(tenant, allowed)
    return tenant


def require(tenant: Tenant, allowed: Collection[TenantStatus]) -> None:
    """Raises WrongState (409) unless the tenant's status is one of `allowed`."""
    if tenant.status not in allowed:
        raise errors.WrongState(f"The tenant `{tenant.slug}` is {tenant.status}.")


def check_limit(tenant: Tenant, name: str, rows: QuerySet[Any]) -> None:
    """Raises LimitReached (409) if the tenant, whose row is locked, may have no more such rows.

    name: a field of `tenants.limits.Limits`.
    """
    limits = merge_limits(get_settings().plans.get(tenant.plan), tenant.limits)
    limit = getattr(limits, name)
    if limit is not None and rows.count() >= limit:
        raise errors.LimitReached(name, limit)


@in_registry
def change_row(
    slug: str,
    allowed: Collection[TenantStatus],
    action: str,
    by: Actor,
    target: str = "",
    /,
    **changes: Any,
) -> Tenant:
    """Update a tenant whose status is one of `allowed`, under a lock on its row.

    A change that is a function gets the row as it is now and returns the value. Where nothing
    differs, nothing is written and nothing recorded.
    """
    tenant = find_tenant(slug, allowed, lock=True)
    details = {}
    for field, value in changes.items():
        before, after = getattr(tenant, field), value(tenant) if callable(value) else value
        if before != after:
            details[field] = [before, after]
            setattr(tenant, field, after)
    if details:
        tenant.save()
        audit.record(by, action, tenant, target, **details)
    return tenant


def violated_constraint(error: IntegrityError) -> str:
    """The name of the constraint that stood against a write."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""


async def run_hooks(tenant: Tenant, hooks: Iterable[Hook | None]) -> None:
    for hook in hooks:
        if hook is not None:
            async with write_session(tenant.ref) as session:
                await hook(session)
