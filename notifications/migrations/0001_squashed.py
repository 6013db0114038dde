"""The tables of the first release. Replaces all earlier migrations; databases that applied them stay unchanged."""

import django.db.models.deletion
import django.utils.timezone
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    replaces = [
        ("notifications", "0001_initial"),
        ("notifications", "0002_words"),
        ("notifications", "0003_alerts"),
        ("notifications", "0004_blocks"),
        ("notifications", "0005_message_alerts"),
    ]

    initial = True

    dependencies = [
        ("jobs", "0001_squashed"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("title", models.CharField(max_length=100, verbose_name="title")),
                ("message", models.TextField(verbose_name="message")),
                (
                    "type",
                    models.CharField(
                        choices=[("success", "Success"), ("error", "Error"), ("warning", "Warning"), ("info", "Info")],
                        max_length=10,
                        verbose_name="type",
                    ),
                ),
                (
                    "audience",
                    models.CharField(
                        choices=[("everyone", "Everyone"), ("owner_and_admins", "The job's owner and admins")],
                        default="everyone",
                        max_length=20,
                        verbose_name="audience",
                    ),
                ),
                ("job_id", models.UUIDField(null=True, verbose_name="job id")),
                ("execution_id", models.UUIDField(null=True, verbose_name="execution id")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at")),
                (
                    "owner",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
            ],
            options={
                "verbose_name": "notification",
                "verbose_name_plural": "notifications",
                "ordering": ["-created_at", "-id"],
            },
        ),
        migrations.CreateModel(
            name="EventState",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("read_at", models.DateTimeField(null=True, verbose_name="read at")),
                ("is_deleted", models.BooleanField(default=False, verbose_name="is deleted")),
                (
                    "event",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="states",
                        to="notifications.event",
                        verbose_name="event",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="event_states",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="user",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Inbox",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("read_marks", models.JSONField(default=list, verbose_name="read marks")),
                ("cleared", models.JSONField(default=list, verbose_name="cleared")),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="inbox", to=settings.AUTH_USER_MODEL
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "inboxes",
            },
        ),
        migrations.CreateModel(
            name="Message",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("key", models.CharField(max_length=400, unique=True, verbose_name="key")),
                (
                    "channel",
                    models.CharField(
                        choices=[("email", "E-mail"), ("slack", "Slack")], max_length=10, verbose_name="channel"
                    ),
                ),
                (
                    "recipient",
                    models.CharField(
                        blank=True,
                        help_text="An e-mail address, or the team's handle for Slack.",
                        max_length=254,
                        verbose_name="recipient",
                    ),
                ),
                ("subject", models.CharField(blank=True, max_length=300, verbose_name="subject")),
                ("text", models.TextField(verbose_name="text")),
                (
                    "unsubscribe",
                    models.CharField(blank=True, db_default="", max_length=500, verbose_name="unsubscribe link"),
                ),
                (
                    "blocks",
                    models.JSONField(help_text="Slack's Block Kit, beside the text.", null=True, verbose_name="blocks"),
                ),
                ("html", models.TextField(blank=True, verbose_name="html")),
                (
                    "alerts",
                    models.JSONField(
                        help_text="The alerts of the message, one line each.", null=True, verbose_name="alerts"
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("pending", "Pending"), ("sent", "Sent"), ("failed", "Failed")],
                        default="pending",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("attempts", models.PositiveSmallIntegerField(default=0, verbose_name="attempts")),
                (
                    "next_attempt_at",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="next attempt at"),
                ),
                ("last_error", models.TextField(blank=True, verbose_name="last error")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="created at")),
                ("sent_at", models.DateTimeField(null=True, verbose_name="sent at")),
            ],
            options={
                "verbose_name": "message",
                "verbose_name_plural": "messages",
                "ordering": ["-created_at"],
                "indexes": [
                    models.Index(
                        condition=models.Q(("status", "pending")), fields=["next_attempt_at"], name="message_due"
                    ),
                    models.Index(fields=["-created_at"], name="message_newest"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Streak",
            fields=[
                (
                    "job",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="streak",
                        serialize=False,
                        to="jobs.job",
                    ),
                ),
                ("recent", models.CharField(blank=True, max_length=100, verbose_name="recent outcomes")),
                ("since", models.DateTimeField(null=True, verbose_name="failing since")),
                ("failures", models.PositiveIntegerField(default=0, verbose_name="failures")),
                ("told_at", models.DateTimeField(null=True, verbose_name="told at")),
                ("reminded_at", models.DateTimeField(null=True, verbose_name="reminded at")),
                ("acknowledged_at", models.DateTimeField(null=True, verbose_name="acknowledged at")),
                (
                    "acknowledged_by",
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
                "verbose_name": "failing job",
                "verbose_name_plural": "failing jobs",
                "ordering": ["-since"],
            },
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["-created_at", "-id", "audience", "owner"], name="event_newest"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(condition=models.Q(("owner__isnull", False)), fields=["owner"], name="event_owner"),
        ),
        migrations.AddConstraint(
            model_name="eventstate",
            constraint=models.UniqueConstraint(fields=("user", "event"), name="event_state_once"),
        ),
        migrations.AddIndex(
            model_name="streak",
            index=models.Index(condition=models.Q(("told_at__isnull", False)), fields=["told_at"], name="streak_told"),
        ),
    ]
