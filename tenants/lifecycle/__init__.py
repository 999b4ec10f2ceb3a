"""What can happen to a tenant: created, renamed, suspended, resumed, deleted, erased.

The only functions that do these things; the admin, the commands and the API call them. Each
either happens whole or can be repeated until it has: the registry row says how far a tenant has
come, and what PostgreSQL makes for it is made in one transaction.

They are async, because the tenants' database is reached through asyncpg. The registry is
Django's, so its part runs in `sync_to_async`, one short transaction at a time.
"""

from tenants.lifecycle.erasure import erase_tenant
from tenants.lifecycle.keys import DEFAULT_SCOPES, IssuedKey, issue_key, revoke_key
from tenants.lifecycle.onboarding import create_tenant
from tenants.lifecycle.owner import owner_connection
from tenants.lifecycle.registry import get_tenant
from tenants.lifecycle.states import (
    delete_tenant,
    rename_tenant,
    resume_tenant,
    suspend_tenant,
)
from tenants.lifecycle.switching import disable_module, enable_module

__all__ = [
    "DEFAULT_SCOPES",
    "IssuedKey",
    "create_tenant",
    "delete_tenant",
    "disable_module",
    "enable_module",
    "erase_tenant",
    "get_tenant",
    "issue_key",
    "owner_connection",
    "rename_tenant",
    "resume_tenant",
    "revoke_key",
    "suspend_tenant",
]
