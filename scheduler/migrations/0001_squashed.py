"""The tables of the first release. Replaces all earlier migrations; databases that applied them stay unchanged."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("scheduler", "0001_initial"),
        ("scheduler", "0002_words"),
        ("scheduler", "0003_troubles"),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Trouble",
            fields=[
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("no_leader", "No scheduler leads"),
                            ("lagging", "The scheduler is late"),
                            ("backlog", "The backlog grows"),
                        ],
                        max_length=20,
                        primary_key=True,
                        serialize=False,
                        verbose_name="kind",
                    ),
                ),
                ("since", models.DateTimeField(verbose_name="since")),
            ],
            options={
                "verbose_name": "trouble",
                "verbose_name_plural": "troubles",
            },
        ),
        migrations.CreateModel(
            name="Leadership",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("fencing_token", models.BigIntegerField(default=0, verbose_name="fencing token")),
                (
                    "leader_id",
                    models.CharField(
                        blank=True,
                        help_text="host:pid of the leader; empty after it stepped down.",
                        max_length=300,
                        verbose_name="leader id",
                    ),
                ),
                ("acquired_at", models.DateTimeField(null=True, verbose_name="acquired at")),
                ("heartbeat_at", models.DateTimeField(null=True, verbose_name="heartbeat at")),
                (
                    "has_lock",
                    models.BooleanField(
                        default=False,
                        help_text="Whether it holds the lock file, which is released at its death.",
                        verbose_name="has lock",
                    ),
                ),
                (
                    "schedules",
                    models.PositiveIntegerField(default=0, help_text="Entries on the clock.", verbose_name="schedules"),
                ),
                ("last_resync_at", models.DateTimeField(null=True, verbose_name="last resync at")),
            ],
            options={
                "verbose_name": "leadership",
                "verbose_name_plural": "leadership",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="leadership_is_one_row")],
            },
        ),
        migrations.CreateModel(
            name="LeaderTerm",
            fields=[
                (
                    "fencing_token",
                    models.BigIntegerField(primary_key=True, serialize=False, verbose_name="fencing token"),
                ),
                ("leader_id", models.CharField(max_length=300, verbose_name="leader id")),
                ("started_at", models.DateTimeField(verbose_name="started at")),
                ("ended_at", models.DateTimeField(null=True, verbose_name="ended at")),
            ],
            options={
                "verbose_name": "leader's term",
                "verbose_name_plural": "leaders' terms",
                "ordering": ["-fencing_token"],
                "indexes": [models.Index(fields=["started_at"], name="leader_term_start")],
            },
        ),
        migrations.CreateModel(
            name="Resync",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("requested_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="requested at")),
                ("answered_at", models.DateTimeField(null=True, verbose_name="answered at")),
                (
                    "result",
                    models.JSONField(help_text="Counts, as the API answers them.", null=True, verbose_name="result"),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="requested by",
                    ),
                ),
            ],
            options={
                "verbose_name": "resync",
                "verbose_name_plural": "resyncs",
                "ordering": ["-requested_at"],
            },
        ),
    ]
