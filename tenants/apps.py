"""The engine as a Django app."""

from typing import cast

from django.apps import AppConfig
from django.conf import settings

from tenants.db import engine
from tenants.settings import EngineSettings


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = "Registry"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        engine.configure(get_settings())


def get_settings() -> EngineSettings:
    """The settings of this process, as Django holds them."""
    return cast(EngineSettings, settings.TENANTRY)
