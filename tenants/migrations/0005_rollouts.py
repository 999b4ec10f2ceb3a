"""The ledger of rollouts."""

import django.db.models.deletion
from django.db import migrations, models

import tenants.ids


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0004_audit_log"),
    ]

    operations = [
        migrations.CreateModel(
            name="Rollout",
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
                ("targets", models.JSONField(default=dict)),
                ("scope", models.JSONField(default=dict)),
                ("options", models.JSONField(default=dict)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                            ("interrupted", "Interrupted"),
                        ],
                        default="running",
                        max_length=12,
                    ),
                ),
                ("started_by", models.TextField()),
                ("note", models.TextField(blank=True)),
                ("planned", models.IntegerField(default=0)),
                ("migrated", models.IntegerField(default=0)),
                ("failed", models.IntegerField(default=0)),
                ("cancel_requested", models.BooleanField(default=False)),
                ("runner", models.TextField(blank=True)),
                ("lease_ends_at", models.DateTimeField(null=True)),
                ("started_at", models.DateTimeField(auto_now_add=True)),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "ordering": ["-id"],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("status", "running")),
                        fields=("status",),
                        name="tenants_rollout_running_key",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RolloutAttempt",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("tenant_id", models.UUIDField()),
                ("slug", models.CharField(blank=True, max_length=40)),
                ("succeeded", models.BooleanField()),
                ("revisions", models.JSONField(default=dict)),
                ("error", models.TextField(blank=True)),
                ("tries", models.SmallIntegerField(default=1)),
                ("milliseconds", models.FloatField()),
                ("at", models.DateTimeField()),
                (
                    "rollout",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="tenants.rollout",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(fields=["rollout", "id"], name="tenants_attempt_order_idx"),
                    models.Index(
                        fields=["rollout", "succeeded", "id"], name="tenants_attempt_outcome_idx"
                    ),
                    models.Index(fields=["tenant_id", "id"], name="tenants_attempt_tenant_idx"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("rollout", "tenant_id", "at"), name="tenants_attempt_key"
                    )
                ],
            },
        ),
    ]
