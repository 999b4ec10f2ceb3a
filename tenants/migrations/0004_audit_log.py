"""The audit log: a table that Django's login can read and append to, and nothing else.

An owner of a table can always give itself every right, so the table is made by the owner login,
in the schema that it owns already, and the registry's login gets SELECT and INSERT.
"""

from typing import Any

import psycopg
from django.db import migrations, models
from psycopg import sql

import tenants.ids

CREATE = """
CREATE SCHEMA IF NOT EXISTS tenantry;
CREATE TABLE IF NOT EXISTS tenantry.audit_log (
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor_kind text NOT NULL,
    actor_id text NOT NULL,
    actor_name text NOT NULL,
    address text NOT NULL,
    request_id text NOT NULL,
    action text NOT NULL,
    tenant_id uuid,
    tenant_slug text NOT NULL,
    target text NOT NULL,
    details jsonb NOT NULL,
    CONSTRAINT audit_log_pkey PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS audit_log_tenant_id_idx ON tenantry.audit_log (tenant_id, id);
CREATE INDEX IF NOT EXISTS audit_log_tenant_slug_idx ON tenantry.audit_log (tenant_slug, id);
CREATE INDEX IF NOT EXISTS audit_log_actor_id_idx ON tenantry.audit_log (actor_id, id);
CREATE INDEX IF NOT EXISTS audit_log_actor_kind_idx ON tenantry.audit_log (actor_kind, id);
CREATE INDEX IF NOT EXISTS audit_log_action_idx ON tenantry.audit_log (action, id);
"""
GRANT = """
GRANT USAGE ON SCHEMA tenantry TO {registry};
GRANT SELECT, INSERT ON tenantry.audit_log TO {registry};
"""


def create_table(_apps: Any, editor: Any) -> None:
    registry = sql.Identifier(editor.connection.settings_dict["USER"])
    with _connect_owner() as owner:
        owner.execute(CREATE)
        owner.execute(sql.SQL(GRANT).format(registry=registry))


def drop_table(_apps: Any, _editor: Any) -> None:
    with _connect_owner() as owner:
        owner.execute("DROP TABLE tenantry.audit_log")


def _connect_owner() -> psycopg.Connection:
    from tenants.apps import get_settings

    return psycopg.connect(get_settings().owner_url.get_secret_value())


class Migration(migrations.Migration):
    dependencies = [("tenants", "0003_administration")]
    # The other login's transaction can't be part of this one.
    atomic = False

    operations = [
        migrations.RunPython(create_table, drop_table),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=tenants.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("at", models.DateTimeField(auto_now_add=True)),
                ("actor_kind", models.TextField()),
                ("actor_id", models.TextField()),
                ("actor_name", models.TextField()),
                ("address", models.TextField()),
                ("request_id", models.TextField()),
                ("action", models.TextField()),
                ("tenant_id", models.UUIDField(null=True)),
                ("tenant_slug", models.TextField()),
                ("target", models.TextField()),
                ("details", models.JSONField(default=dict)),
            ],
            options={
                "verbose_name": "audit entry",
                "verbose_name_plural": "audit log",
                "db_table": '"tenantry"."audit_log"',
                "ordering": ["-id"],
                "managed": False,
                "default_permissions": ("view",),
            },
        ),
    ]
