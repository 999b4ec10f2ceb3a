"""How the admin looks and what its sidebar leads to: the settings of django-unfold.

All that a page loads comes from the packages that are installed: no other host is asked.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _file(path: str) -> Callable[[HttpRequest], str]:
    """A static file's address; asked for late, as settings are read before there are any."""
    return lambda request: static(path)


def _page(title: str, icon: str, model: str) -> dict[str, Any]:
    """A model's list, for those who may see it."""
    app, name = model.split(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": lambda request: (
            request.user.has_perm(f"{app}.view_{name}")
            or request.user.has_perm(f"{app}.change_{name}")
        ),
    }


def _docs(title: str, icon: str, api: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse_lazy(f"{api}:openapi-view")}


def _status_tab(title: str, status: str | None) -> dict[str, Any]:
    query = f"?status__exact={status}" if status else ""
    return {
        "title": title,
        "link": lambda request: f"{reverse_lazy('admin:tenants_tenant_changelist')}{query}",
        "active": lambda request: request.GET.get("status__exact") == status,
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Tenantry",
    "SITE_HEADER": "Tenantry",
    "SITE_SUBHEADER": "Administration",
    "SITE_URL": None,
    "SITE_ICON": _file("tenants/icon.svg"),
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": _file("tenants/icon.svg")},
    ],
    "LOGIN": {"image": _file("tenants/sign-in.svg")},
    "SHOW_HISTORY": False,  # The audit log has it.
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [_file("tenants/admin.css")],
    "SCRIPTS": [_file("tenants/admin.js")],
    "DASHBOARD_CALLBACK": "tenants.admin.dashboard.add_overview",
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.314)",
            "100": "oklch(93% .034 272.788)",
            "200": "oklch(87% .065 274.039)",
            "300": "oklch(78.5% .115 274.713)",
            "400": "oklch(67.3% .182 276.935)",
            "500": "oklch(58.5% .233 277.117)",
            "600": "oklch(51.1% .262 276.966)",
            "700": "oklch(45.7% .24 277.023)",
            "800": "oklch(39.8% .195 277.366)",
            "900": "oklch(35.9% .144 278.697)",
            "950": "oklch(25.7% .09 281.288)",
        },
    },
    "TABS": [
        {
            "models": ["tenants.tenant"],
            "items": [
                _status_tab("All", None),
                _status_tab("Active", "active"),
                _status_tab("Suspended", "suspended"),
                _status_tab("Provisioning", "provisioning"),
                _status_tab("Deleting", "deleting"),
            ],
        },
    ],
    "SIDEBAR": {
        "show_search": False,
        "navigation": [
            {
                "items": [
                    {
                        "title": "Dashboard",
                        "icon": "space_dashboard",
                        "link": reverse_lazy("admin:index"),
                    },
                ],
            },
            {
                "title": "Tenants",
                "items": [
                    _page("Tenants", "apartment", "tenants.tenant"),
                    _page("API keys", "key", "tenants.apikey"),
                    _page("Domains", "language", "tenants.domain"),
                    _page("Members", "group", "tenants.membership"),
                    _page("Rollouts", "rocket_launch", "tenants.rollout"),
                ],
            },
            {
                "title": "Installation",
                "items": [
                    _page("Operator keys", "admin_panel_settings", "tenants.operatorkey"),
                    _page("Users", "person", "tenants.user"),
                    _page("Groups", "shield_person", "auth.group"),
                    _page("Audit log", "history", "tenants.auditentry"),
                ],
            },
            {
                "title": "Reference",
                "items": [
                    _docs("Tenant API", "menu_book", "api"),
                    _docs("Management API", "settings_ethernet", "management"),
                ],
            },
        ],
    },
}
