"""The management API: `tenants.lifecycle` over HTTP, for operators and for tenants' own admins."""
