"""Django's settings for the peer: django-tenants as its documentation sets it up."""

import os

from psycopg.conninfo import conninfo_to_dict

_PARTS = conninfo_to_dict(os.environ["PEER_URL"])

SECRET_KEY = "benchmark"  # noqa: S105  # It signs nothing.
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": _PARTS["dbname"],
        "USER": _PARTS["user"],
        "PASSWORD": _PARTS["password"],
        "HOST": _PARTS["host"],
        "PORT": _PARTS["port"],
    }
}
DATABASE_ROUTERS = ["django_tenants.routers.TenantSyncRouter"]
SHARED_APPS = [
    "django_tenants",
    "django.contrib.contenttypes",
    "benchmarks.django_tenants_peer.registry",
]
TENANT_APPS = ["benchmarks.django_tenants_peer.log"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
# Written by `peer.py`, from the statements that the benchmark gives it.
MIGRATION_MODULES = {"log": "peer_migrations"}
TENANT_MODEL = "registry.Client"
TENANT_DOMAIN_MODEL = "registry.Domain"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Its faster way to make a tenant, by copying another's schema, if the benchmark asks for it.
if os.environ.get("PEER_TEMPLATE"):
    TENANT_BASE_SCHEMA = os.environ["PEER_TEMPLATE"]
    TENANT_CREATION_FAKES_MIGRATIONS = True
