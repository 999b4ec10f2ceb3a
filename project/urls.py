"""What stands where: the tenant API with its docs, and the admin."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from project.api import create_api

urlpatterns = [
    path("", RedirectView.as_view(url="/api/docs")),
    path("api/", create_api().urls),
    path("admin/", admin.site.urls),
]
