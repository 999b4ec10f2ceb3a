"""What stands where: the APIs with their docs, and the pages."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from project.api import create_management_api, create_tenant_api, create_wire_apis

urlpatterns = [
    path("", RedirectView.as_view(url="/api/docs")),
    path("api/admin/", create_management_api().urls),
    path("api/", create_tenant_api().urls),
    *(path(f"{prefix}/", api.urls) for prefix, api in create_wire_apis().items()),
    path("admin/", admin.site.urls),
    path("accounts/", include("tenants.accounts.urls")),
]
