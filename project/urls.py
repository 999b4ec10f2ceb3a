"""What stands where: the two APIs with their docs, and the pages."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from project.api import create_management_api, create_tenant_api

urlpatterns = [
    path("", RedirectView.as_view(url="/api/docs")),
    path("api/admin/", create_management_api().urls),
    path("api/", create_tenant_api().urls),
    path("admin/", admin.site.urls),
    path("accounts/", include("tenants.accounts.urls")),
]
