"""A tenant's own host names: claimed, verified by DNS, removed."""

import re
import secrets

from django.db import IntegrityError
from django.utils import timezone

from tenants import audit, errors
from tenants.actor import Actor
from tenants.apps import get_settings
from tenants.dns import find_texts
from tenants.lifecycle.registry import (
    LIVING,
    check_limit,
    find_tenant,
    in_registry,
)
from tenants.models import Domain, Tenant
from tenants.names import HOST_PATTERN


async def add_domain(slug: str, host: str, *, by: Actor) -> Domain:
    """Claim a host for a tenant. Nothing is served there before it is verified.

    Adding it again changes nothing.
    Raises TenantNotFound (404), InvalidInput (422), DomainTaken, WrongState, LimitReached (409).
    """
    return await _add(slug, validate_host(host), by)


async def verify_domain(slug: str, host: str, *, by: Actor) -> Domain:
    """Serve a host, once its DNS has the TXT record that `verification_record` names.

    Verifying a verified domain changes nothing, and asks nobody.
    Raises TenantNotFound, DomainNotFound (404), DomainNotVerified, DomainTaken, WrongState (409),
    DnsUnavailable (503).
    """
    domain = await _get(slug, host)
    if domain.verified_at is not None:
        return domain
    name, value = verification_record(domain)
    if value not in await find_texts(name):
        raise errors.DomainNotVerified(name, value)
    try:
        return await _verify(slug, host, by)
    except IntegrityError as error:
        raise errors.DomainTaken(host) from error


@in_registry
def remove_domain(slug: str, host: str, *, by: Actor) -> None:
    """Stop serving a host, in every process within a second.

    Raises TenantNotFound, DomainNotFound (404).
    """
    tenant = find_tenant(slug)
    domain = _find(tenant, host)
    audit.record(by, "domain.removed", tenant, host, verified=domain.verified_at is not None)
    domain.delete()


def verification_record(domain: Domain) -> tuple[str, str]:
    """Name and text of the TXT record that proves whose the domain is."""
    return f"_tenantry.{domain.host}", f"tenantry-verification={domain.token}"


def validate_host(host: str) -> str:
    """The host in lower case. Raises InvalidInput (422) if it can't be a tenant's own."""
    host = host.strip().lower()
    settings = get_settings()
    reason = ""
    if not re.match(HOST_PATTERN, host):
        reason = "must be a host name without a port, such as chat.example.com"
    elif host == settings.base_domain or host.endswith(f".{settings.base_domain}"):
        reason = f"must not be under {settings.base_domain}: those belong to tenants by their slug"
    elif host in settings.allowed_hosts:
        reason = "is the service's own"
    if reason:
        raise errors.InvalidInput(f"The host {reason}.", errors=[("host", reason)])
    return host


@in_registry
def _add(slug: str, host: str, by: Actor) -> Domain:
    tenant = find_tenant(slug, LIVING, lock=True)
    domain = tenant.domains.filter(host=host).first()
    if domain is not None:
        return domain
    if Domain.objects.filter(host=host, verified_at__isnull=False).exists():
        raise errors.DomainTaken(host)
    check_limit(tenant, "domains", tenant.domains.all())
    domain = tenant.domains.create(host=host, token=secrets.token_hex(16))
    audit.record(by, "domain.added", tenant, host)
    return domain


@in_registry
def _get(slug: str, host: str) -> Domain:
    return _find(find_tenant(slug, LIVING), host)


@in_registry
def _verify(slug: str, host: str, by: Actor) -> Domain:
    tenant = find_tenant(slug, LIVING, lock=True)
    domain = _find(tenant, host)
    if domain.verified_at is None:
        domain.verified_at = timezone.now()
        domain.save(update_fields=["verified_at"])
        audit.record(by, "domain.verified", tenant, host)
    return domain


def _find(tenant: Tenant, host: str) -> Domain:
    domain = tenant.domains.filter(host=host).first()
    if domain is None:
        raise errors.DomainNotFound(host)
    return domain
