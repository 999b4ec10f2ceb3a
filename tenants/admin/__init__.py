"""The registry in Django's admin: all that administrators do, in a browser.

It decides nothing. What changes a tenant, its keys, hosts or members goes through
`tenants.lifecycle`, and what changes the fleet through `tenants.rollouts`, whose errors are shown
in their own words; only users and groups are edited as rows. Importing this package registers
everything.
"""

from tenants.admin import (
    audit_log,
    dashboard,
    domains,
    keys,
    members,
    people,
    rollouts,
    tenant,
)

__all__ = [
    "audit_log",
    "dashboard",
    "domains",
    "keys",
    "members",
    "people",
    "rollouts",
    "tenant",
]
