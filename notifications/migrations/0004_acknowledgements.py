from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


def copy(apps: Any, schema_editor: Any) -> None:
    states = apps.get_model("notifications", "FailureState")
    acknowledgements = apps.get_model("notifications", "Acknowledgement")
    acknowledgements.objects.bulk_create(
        acknowledgements(job_id=one.job_id, at=one.acknowledged_at, by_id=one.acknowledged_by_id)
        for one in states.objects.filter(acknowledged_at__isnull=False)
    )


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0011_report_as_json"),
        ("notifications", "0003_digests"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Acknowledgement",
            fields=[
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="acknowledgement",
                        serialize=False,
                        to="jobs.job",
                    ),
                ),
                ("at", models.DateTimeField(verbose_name="acknowledged at")),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="acknowledged by",
                    ),
                ),
            ],
            options={
                "verbose_name": "acknowledgement",
                "verbose_name_plural": "acknowledgements",
            },
        ),
        migrations.RunPython(copy, migrations.RunPython.noop),
        migrations.RemoveField(model_name="failurestate", name="acknowledged_at"),
        migrations.RemoveField(model_name="failurestate", name="acknowledged_by"),
    ]
