"""Checks of what is installed: settings, modules, the registry's migrations."""

from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tenants.doctor.finding import Finding, Status, count, list_some, ok, problem, warning
from tenants.lifecycle.registry import in_registry
from tenants.modules import get_modules
from tenants.revisions import get_head


def check_settings() -> list[Finding]:
    """What the service would start with, and yet not do well.

    In development none of it is more than a warning. A production without a secret key, or with
    the debug flag, doesn't come so far: the settings refuse it.
    """
    values = settings.TENANTRY
    production = values.environment == "production"
    host = urlsplit(values.public_url).hostname or ""
    served = host in {values.base_domain, *values.allowed_hosts}
    findings = [ok("environment", values.environment)]
    if values.secret_key is None:
        findings.append(
            warning(
                "secret key",
                "None is set: each process makes its own, and refuses what another has signed.",
                "Set TENANTRY_SECRET_KEY to 32 random characters or more.",
            )
        )
    if production and values.debug:
        findings.append(
            problem("debug", "Pages of errors show code and settings.", "Set TENANTRY_DEBUG=false.")
        )
    if not served:
        findings.append(
            Finding(
                "public URL",
                Status.PROBLEM if production else Status.WARNING,
                f"Links in mails lead to {host}, where requests are refused.",
                f"Add {host} to TENANTRY_ALLOWED_HOSTS, or set TENANTRY_PUBLIC_URL to where "
                "people reach the service.",
            )
        )
    elif production and not values.public_url.startswith("https://"):
        findings.append(
            problem(
                "public URL",
                f"Links in mails lead to {values.public_url}, without TLS.",
                "Set TENANTRY_PUBLIC_URL to the https:// address where people reach the service.",
            )
        )
    else:
        findings.append(ok("public URL", values.public_url))
    if values.email_url is not None:
        findings.append(ok("e-mail", "A mail server is set."))
    elif production:
        findings.append(
            problem(
                "e-mail",
                "No mail is sent: passwords can't be reset, invitations must be passed on by hand.",
                "Set TENANTRY_EMAIL_URL, such as smtp://user:password@mail.example.com:587.",
            )
        )
    else:
        findings.append(ok("e-mail", "Mails are written to files, as is usual in development."))
    return findings


def check_modules() -> list[Finding]:
    """That the modules load beside each other, each with one line of revisions."""
    try:
        modules = get_modules()
    except ImproperlyConfigured as error:
        return [
            problem(
                "modules",
                f"They don't load: {error}",
                "Mend the module, or take it from TENANTRY_MODULES.",
                blocks=True,
            )
        ]
    unrevised = [
        module.name for module in modules if module.metadata.tables and not get_head(module)
    ]
    if unrevised:
        return [
            problem(
                "modules",
                f"They have tables and no revision that makes them: {list_some(unrevised)}",
                f"Write it: manage.py make_revision {unrevised[0]} -m create",
            )
        ]
    heads = ", ".join(f"{module.name} at {get_head(module)}" for module in modules)
    return [ok("modules", heads or "None are loaded.")]


@in_registry
def check_migrations() -> list[Finding]:
    """That the registry's tables are as this release needs them."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    missing = [f"{migration.app_label}.{migration.name}" for migration, _ in plan]
    if missing:
        return [
            problem(
                "migrations",
                f"The registry lacks {count(len(missing), 'migration')}: {list_some(missing)}",
                "Apply them: manage.py migrate",
                blocks=True,
            )
        ]
    return [ok("migrations", "The registry has them all.")]
