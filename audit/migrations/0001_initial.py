"""The audit trail becomes an app of its own: its table, which the jobs app made, is renamed and kept."""

import django.db.models.deletion
import django.utils.timezone
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("jobs", "0001_squashed"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "ALTER TABLE jobs_changerecord RENAME TO audit_changerecord",
                    "ALTER TABLE audit_changerecord RENAME TO jobs_changerecord",
                )
            ],
            state_operations=[
                migrations.CreateModel(
                    name="ChangeRecord",
                    fields=[
                        (
                            "id",
                            models.UUIDField(
                                default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False
                            ),
                        ),
                        (
                            "subject",
                            models.CharField(
                                default="job",
                                help_text="The kind of what was changed.",
                                max_length=20,
                                verbose_name="subject",
                            ),
                        ),
                        ("subject_id", models.UUIDField(null=True, verbose_name="subject id")),
                        ("name", models.CharField(max_length=255, verbose_name="name")),
                        ("at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="at")),
                        ("kind", models.CharField(max_length=10, verbose_name="kind")),
                        (
                            "by_email",
                            models.CharField(
                                blank=True,
                                help_text="Who made the change; empty for Cronsched itself.",
                                max_length=254,
                                verbose_name="by email",
                            ),
                        ),
                        (
                            "address",
                            models.GenericIPAddressField(
                                help_text="The client's IP address; empty outside a request.",
                                null=True,
                                verbose_name="address",
                            ),
                        ),
                        (
                            "difference",
                            models.JSONField(
                                default=dict,
                                help_text="Changed fields with their values before and after.",
                                verbose_name="difference",
                            ),
                        ),
                        (
                            "schedule",
                            models.JSONField(
                                help_text="The fields that decide when the job fires, after the change.",
                                null=True,
                                verbose_name="schedule",
                            ),
                        ),
                        (
                            "by",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.SET_NULL,
                                related_name="+",
                                to=settings.AUTH_USER_MODEL,
                                verbose_name="by",
                            ),
                        ),
                    ],
                    options={
                        "verbose_name": "change",
                        "verbose_name_plural": "changes",
                        "ordering": ["-at", "-id"],
                        "indexes": [models.Index(fields=["subject_id", "-at"], name="change_of_subject")],
                    },
                )
            ],
        )
    ]
