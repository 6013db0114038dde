"""The tables of the first release. Replaces all earlier migrations; databases that applied them stay unchanged."""

import uuid

import django.db.models.deletion
import django.utils.timezone
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("executions", "0001_initial"),
        ("executions", "0002_initial"),
        ("executions", "0003_words"),
        ("executions", "0004_github_runs"),
        ("executions", "0005_celery_workers"),
        ("executions", "0006_rollups"),
        ("executions", "0007_past"),
    ]

    initial = True

    dependencies = [
        ("jobs", "0001_squashed"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SharedLimit",
            fields=[
                ("name", models.CharField(max_length=300, primary_key=True, serialize=False, verbose_name="name")),
            ],
            options={
                "verbose_name": "shared limit",
                "verbose_name_plural": "shared limits",
            },
        ),
        migrations.CreateModel(
            name="Worker",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("host", models.CharField(max_length=255, verbose_name="host")),
                ("pid", models.PositiveIntegerField(verbose_name="pid")),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="started at")),
                ("heartbeat_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="heartbeat at")),
                ("memory_bytes", models.BigIntegerField(null=True, verbose_name="memory (bytes)")),
            ],
            options={
                "verbose_name": "worker",
                "verbose_name_plural": "workers",
                "ordering": ["-heartbeat_at"],
            },
        ),
        migrations.CreateModel(
            name="Lateness",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField(verbose_name="hour")),
                ("bound", models.FloatField(verbose_name="bound")),
                ("shard", models.PositiveSmallIntegerField(verbose_name="shard")),
                ("count", models.IntegerField(default=0, verbose_name="count")),
                ("seconds", models.FloatField(default=0, verbose_name="seconds")),
            ],
            options={
                "verbose_name": "fire lag",
                "verbose_name_plural": "fire lag",
                "constraints": [models.UniqueConstraint(fields=("hour", "bound", "shard"), name="lateness_once")],
            },
        ),
        migrations.CreateModel(
            name="Past",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("changes", models.BigIntegerField(default=1, verbose_name="changes")),
            ],
            options={
                "verbose_name": "past",
                "verbose_name_plural": "past",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="past_is_one_row")],
            },
        ),
        migrations.CreateModel(
            name="Total",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField(verbose_name="hour")),
                (
                    "kind",
                    models.CharField(
                        choices=[("webhook", "Webhook"), ("github_actions", "GitHub Actions")],
                        max_length=15,
                        verbose_name="execution type",
                    ),
                ),
                ("success", models.IntegerField(default=0, verbose_name="success")),
                ("failed", models.IntegerField(default=0, verbose_name="failed")),
                ("cancelled", models.IntegerField(default=0, verbose_name="cancelled")),
                ("skipped", models.IntegerField(default=0, verbose_name="skipped")),
                ("missed", models.IntegerField(default=0, verbose_name="missed")),
                ("seconds", models.FloatField(default=0, verbose_name="seconds")),
                ("success_seconds", models.FloatField(default=0, verbose_name="seconds of successes")),
                ("shard", models.PositiveSmallIntegerField(verbose_name="shard")),
            ],
            options={
                "verbose_name": "hour of all jobs",
                "verbose_name_plural": "hours of all jobs",
                "constraints": [models.UniqueConstraint(fields=("hour", "kind", "shard"), name="total_once")],
            },
        ),
        migrations.CreateModel(
            name="Execution",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("success", "Success"),
                            ("failed", "Failed"),
                            ("skipped", "Skipped"),
                            ("missed", "Missed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="running",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                (
                    "trigger_type",
                    models.CharField(
                        choices=[("scheduled", "Scheduled"), ("manual", "Manual")],
                        max_length=10,
                        verbose_name="trigger type",
                    ),
                ),
                ("scheduled_for", models.DateTimeField(null=True, verbose_name="scheduled for")),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="started at")),
                ("completed_at", models.DateTimeField(null=True, verbose_name="completed at")),
                ("duration_seconds", models.FloatField(null=True, verbose_name="duration seconds")),
                (
                    "execution_type",
                    models.CharField(
                        choices=[("webhook", "Webhook"), ("github_actions", "GitHub Actions")],
                        max_length=15,
                        verbose_name="execution type",
                    ),
                ),
                (
                    "target",
                    models.CharField(
                        help_text="The URL called, or owner/repo/workflow.", max_length=2048, verbose_name="target"
                    ),
                ),
                ("response_status", models.PositiveSmallIntegerField(null=True, verbose_name="response status")),
                ("error_message", models.TextField(blank=True, verbose_name="error message")),
                (
                    "output",
                    models.TextField(
                        blank=True, help_text="The first 1,000 characters of the answer.", verbose_name="output"
                    ),
                ),
                ("attempts", models.JSONField(default=list, verbose_name="attempts")),
                (
                    "run_id",
                    models.BigIntegerField(
                        help_text="The GitHub run that is, or was, followed.", null=True, verbose_name="run"
                    ),
                ),
                ("run_url", models.CharField(blank=True, db_default="", max_length=500, verbose_name="run's page")),
                ("run_attempt", models.PositiveIntegerField(null=True, verbose_name="run's attempt")),
                (
                    "run_conclusion",
                    models.CharField(blank=True, db_default="", max_length=40, verbose_name="run's conclusion"),
                ),
                ("run_seconds", models.FloatField(null=True, verbose_name="run's seconds")),
                (
                    "overrides",
                    models.JSONField(
                        help_text="Overrides of the job's settings for a manual run.",
                        null=True,
                        verbose_name="overrides",
                    ),
                ),
                (
                    "worker_id",
                    models.UUIDField(
                        help_text="The worker that delivers it; empty before a worker has claimed it.",
                        null=True,
                        verbose_name="worker id",
                    ),
                ),
                (
                    "takeovers",
                    models.PositiveSmallIntegerField(
                        db_default=0,
                        default=0,
                        help_text="The number of times that it was taken over from a dead worker.",
                        verbose_name="takeovers",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="executions",
                        to="jobs.job",
                        verbose_name="job",
                    ),
                ),
                (
                    "triggered_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="triggered by",
                    ),
                ),
            ],
            options={
                "verbose_name": "execution",
                "verbose_name_plural": "executions",
                "ordering": ["-started_at", "-id"],
                "indexes": [
                    models.Index(fields=["-started_at", "-id", "status", "duration_seconds"], name="execution_newest"),
                    models.Index(fields=["job", "-started_at", "-id"], name="execution_of_job"),
                    models.Index(fields=["status", "-started_at", "-id"], name="execution_by_status"),
                    models.Index(
                        condition=models.Q(("run_id__isnull", False), ("status", "running")),
                        fields=["started_at"],
                        name="execution_followed",
                    ),
                    models.Index(
                        condition=models.Q(
                            ("run_id__isnull", True), ("status", "running"), ("worker_id__isnull", True)
                        ),
                        fields=["started_at"],
                        name="execution_unclaimed",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("job", "scheduled_for"), name="execution_once_per_fire_time"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["queued", "running", "success", "failed", "skipped", "missed", "cancelled"])
                        ),
                        name="execution_status_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Rollup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("hour", models.DateTimeField(verbose_name="hour")),
                (
                    "kind",
                    models.CharField(
                        choices=[("webhook", "Webhook"), ("github_actions", "GitHub Actions")],
                        max_length=15,
                        verbose_name="execution type",
                    ),
                ),
                ("success", models.IntegerField(default=0, verbose_name="success")),
                ("failed", models.IntegerField(default=0, verbose_name="failed")),
                ("cancelled", models.IntegerField(default=0, verbose_name="cancelled")),
                ("skipped", models.IntegerField(default=0, verbose_name="skipped")),
                ("missed", models.IntegerField(default=0, verbose_name="missed")),
                ("seconds", models.FloatField(default=0, verbose_name="seconds")),
                ("success_seconds", models.FloatField(default=0, verbose_name="seconds of successes")),
                ("longest", models.FloatField(default=0, verbose_name="longest")),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="jobs.job",
                        verbose_name="job",
                    ),
                ),
            ],
            options={
                "verbose_name": "hour of a job",
                "verbose_name_plural": "hours of jobs",
                "indexes": [
                    models.Index(fields=["hour", "longest"], name="rollup_longest"),
                    models.Index(condition=models.Q(("failed__gt", 0)), fields=["hour"], name="rollup_failed"),
                ],
                "constraints": [models.UniqueConstraint(fields=("job", "hour", "kind"), name="rollup_once")],
            },
        ),
        migrations.CreateModel(
            name="Slots",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("count", models.PositiveIntegerField(default=0, verbose_name="count")),
                ("wanted", models.PositiveIntegerField(default=0, verbose_name="wanted")),
                (
                    "limit",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="slots",
                        to="executions.sharedlimit",
                        verbose_name="limit",
                    ),
                ),
                (
                    "worker",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="executions.worker",
                        verbose_name="worker",
                    ),
                ),
            ],
            options={
                "verbose_name": "slots of a limit",
                "verbose_name_plural": "slots of limits",
                "constraints": [models.UniqueConstraint(fields=("limit", "worker"), name="slots_once")],
            },
        ),
    ]
