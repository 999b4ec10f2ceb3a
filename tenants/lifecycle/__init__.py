"""What can happen to a tenant, from its creation to its erasure, and to its keys, hosts, members.

The only functions that do these things; the admin, the commands and the API call them. Each
either happens whole or can be repeated until it has: the registry row says how far a tenant has
come, and what PostgreSQL makes for it is made in one transaction. Each takes whoever does it as
`by`, and writes it to the audit log in the transaction of the change.

They are async, because the tenants' database is reached through asyncpg. The registry is
Django's, so its part runs in a thread, one short transaction at a time.
"""

from tenants.lifecycle.backups import Manifest, back_up_tenant
from tenants.lifecycle.creations import Once
from tenants.lifecycle.domains import add_domain, remove_domain, verification_record, verify_domain
from tenants.lifecycle.erasure import erase_tenant
from tenants.lifecycle.invitations import Invitation, read_token
from tenants.lifecycle.keys import (
    DEFAULT_OVERLAP,
    DEFAULT_SCOPES,
    IssuedKey,
    issue_key,
    revoke_key,
    rotate_key,
)
from tenants.lifecycle.lists import (
    iterate_audit,
    list_audit,
    list_domains,
    list_keys,
    list_members,
    list_tenants,
    search_tenants,
)
from tenants.lifecycle.members import (
    accept_invitation,
    change_member,
    invite_member,
    remove_member,
    sign_up,
)
from tenants.lifecycle.onboarding import Onboarded, create_tenant
from tenants.lifecycle.operators import (
    IssuedOperatorKey,
    create_operator,
    list_operators,
    revoke_operator,
)
from tenants.lifecycle.owner import owner_connection
from tenants.lifecycle.registry import get_tenant
from tenants.lifecycle.restoring import restore_tenant
from tenants.lifecycle.states import change_tenant, delete_tenant, resume_tenant, suspend_tenant
from tenants.lifecycle.stock import Stock, drop_spares, fill_spares, get_stock, keep_filled
from tenants.lifecycle.switching import disable_module, enable_module
from tenants.lifecycle.transfers import export_tenant, import_into_tenant
from tenants.lifecycle.usage import ModuleState, Usage, get_usage, list_modules

__all__ = [
    "DEFAULT_OVERLAP",
    "DEFAULT_SCOPES",
    "Invitation",
    "IssuedKey",
    "IssuedOperatorKey",
    "Manifest",
    "ModuleState",
    "Onboarded",
    "Once",
    "Stock",
    "Usage",
    "accept_invitation",
    "add_domain",
    "back_up_tenant",
    "change_member",
    "change_tenant",
    "create_operator",
    "create_tenant",
    "delete_tenant",
    "disable_module",
    "drop_spares",
    "enable_module",
    "erase_tenant",
    "export_tenant",
    "fill_spares",
    "get_stock",
    "get_tenant",
    "get_usage",
    "import_into_tenant",
    "invite_member",
    "issue_key",
    "iterate_audit",
    "keep_filled",
    "list_audit",
    "list_domains",
    "list_keys",
    "list_members",
    "list_modules",
    "list_operators",
    "list_tenants",
    "owner_connection",
    "read_token",
    "remove_domain",
    "remove_member",
    "restore_tenant",
    "resume_tenant",
    "revoke_key",
    "revoke_operator",
    "rotate_key",
    "search_tenants",
    "sign_up",
    "suspend_tenant",
    "verification_record",
    "verify_domain",
]
