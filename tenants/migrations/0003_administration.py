"""What administrators work with: plans, limits, operators' keys, verified domains, invitations.

Memberships get ids that may be shown. What ends a member's or an operator's pass is noticed by every
process, as what ends a key's is. Domains that are there already were added by an operator,
and count as verified.
"""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

import tenants.ids
import tenants.models.registry
import tenants.names

FILL_DOMAINS = """
UPDATE tenants_domain
SET verified_at = created_at, token = replace(gen_random_uuid()::text, '-', '');
"""
FILL_MEMBERSHIPS = """
UPDATE tenants_membership m
SET email = lower(coalesce(nullif(u.email, ''), u.username)), accepted_at = m.created_at
FROM tenants_user u WHERE u.id = m.user_id;
"""
MEMBERSHIP_IDS = """
ALTER TABLE tenants_membership ALTER COLUMN id DROP IDENTITY;
ALTER TABLE tenants_membership ALTER COLUMN id TYPE uuid USING gen_random_uuid();
"""
WATCH = """
CREATE TRIGGER tenants_operatorkey_changed
    AFTER UPDATE OF secret_hash, scopes, name, expires_at, revoked_at OR DELETE OR TRUNCATE
    ON tenants_operatorkey
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_bump_registry_version();
CREATE TRIGGER tenants_membership_changed
    AFTER UPDATE OF role, user_id OR DELETE OR TRUNCATE ON tenants_membership
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_bump_registry_version();
CREATE TRIGGER tenants_user_changed
    AFTER UPDATE OF password, is_active OR DELETE OR TRUNCATE ON tenants_user
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_bump_registry_version();
DROP TRIGGER tenants_tenant_changed ON tenants_tenant;
CREATE TRIGGER tenants_tenant_changed
    AFTER UPDATE OF slug, status, modules, database, plan, limits OR DELETE OR TRUNCATE
    ON tenants_tenant
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_bump_registry_version();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("tenants", "0002_registry_version"),
    ]

    operations = [
        migrations.CreateModel(
            name="Creation",
            fields=[
                (
                    "digest",
                    models.BinaryField(max_length=32, primary_key=True, serialize=False),
                ),
                ("fingerprint", models.BinaryField(max_length=32)),
                ("salt", models.BinaryField(max_length=16)),
                ("tenant_id", models.UUIDField()),
                ("key_id", models.CharField(max_length=16)),
                ("created_at", models.DateTimeField(auto_now_add=True, db_index=True)),
            ],
        ),
        migrations.CreateModel(
            name="OperatorKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("public_id", models.CharField(editable=False, max_length=16, unique=True)),
                ("secret_hash", models.BinaryField(max_length=32)),
                ("name", models.CharField(max_length=200)),
                (
                    "scopes",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=20), default=list, size=None
                    ),
                ),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={"ordering": ["-id"], "abstract": False},
        ),
        migrations.AlterModelOptions(
            name="apikey", options={"ordering": ["-id"], "verbose_name": "API key"}
        ),
        migrations.AlterField(
            model_name="apikey", name="name", field=models.CharField(max_length=200)
        ),
        migrations.AddField(
            model_name="tenant",
            name="plan",
            field=models.CharField(default="standard", max_length=40),
        ),
        migrations.AddField(
            model_name="tenant", name="limits", field=models.JSONField(blank=True, default=dict)
        ),
        migrations.AddIndex(
            model_name="tenant",
            index=models.Index(fields=["status", "slug"], name="tenants_tenant_status_idx"),
        ),
        migrations.AddIndex(
            model_name="tenant",
            index=models.Index(fields=["plan", "slug"], name="tenants_tenant_plan_idx"),
        ),
        migrations.AddIndex(
            model_name="tenant",
            index=django.contrib.postgres.indexes.GinIndex(
                tenants.models.registry.Words("slug", "name"), name="tenants_tenant_words_idx"
            ),
        ),
        migrations.AddField(
            model_name="domain",
            name="token",
            field=models.CharField(default="", editable=False, max_length=64),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="domain",
            name="verified_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.RunSQL(FILL_DOMAINS, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="domain",
            name="host",
            field=models.CharField(
                help_text="Lower-case host name without a port, such as chat.example.com.",
                max_length=253,
                validators=[django.core.validators.RegexValidator(tenants.names.HOST_PATTERN)],
            ),
        ),
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.UniqueConstraint(
                fields=("host", "tenant"), name="tenants_domain_host_tenant_key"
            ),
        ),
        migrations.AddConstraint(
            model_name="domain",
            constraint=models.UniqueConstraint(
                condition=models.Q(("verified_at__isnull", False)),
                fields=("host",),
                name="tenants_domain_verified_host_key",
            ),
        ),
        migrations.AlterModelOptions(name="membership", options={"ordering": ["id"]}),
        migrations.AddField(
            model_name="membership",
            name="email",
            field=models.EmailField(default="", max_length=150),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="membership",
            name="invited_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="membership",
            name="accepted_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunSQL(FILL_MEMBERSHIPS, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="membership",
            name="user",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="memberships",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(MEMBERSHIP_IDS)],
            state_operations=[
                migrations.AlterField(
                    model_name="membership",
                    name="id",
                    field=models.UUIDField(
                        default=tenants.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="membership",
            constraint=models.UniqueConstraint(
                fields=("tenant", "email"), name="tenants_membership_tenant_email_key"
            ),
        ),
        migrations.AlterModelOptions(
            name="user",
            options={
                "ordering": ["username"],
                "verbose_name": "user",
                "verbose_name_plural": "users",
            },
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Lower("username"), name="text_pattern_ops"
                ),
                name="tenants_user_name_idx",
            ),
        ),
        migrations.AddIndex(
            model_name="user",
            index=models.Index(
                django.contrib.postgres.indexes.OpClass(
                    django.db.models.functions.text.Lower("email"), name="text_pattern_ops"
                ),
                name="tenants_user_mail_idx",
            ),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.UniqueConstraint(
                django.db.models.functions.text.Lower("email"),
                condition=models.Q(("email", ""), _negated=True),
                name="tenants_user_email_key",
            ),
        ),
        migrations.RunSQL(WATCH),
    ]
