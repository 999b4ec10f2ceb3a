"""All routes of the management API."""

from ninja import Router

from tenants.admin_api import audit, domains, keys, members, rollouts, tenants

router = Router()
for part in (tenants, keys, domains, members, rollouts, audit):
    router.add_router("", part.router)
