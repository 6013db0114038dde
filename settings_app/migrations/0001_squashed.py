"""The tables of the first release. Replaces all earlier migrations; databases that applied them stay unchanged."""

import uuid

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import core.db.encryption
import settings_app.models


class Migration(migrations.Migration):
    replaces = [
        ("settings_app", "0001_initial"),
        ("settings_app", "0002_words"),
        ("settings_app", "0003_github_credentials"),
        ("settings_app", "0004_manager"),
    ]

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="GitHubCredential",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100, unique=True, verbose_name="name")),
                (
                    "kind",
                    models.CharField(
                        choices=[("token", "Fine-grained token"), ("app", "GitHub App")],
                        default="token",
                        max_length=10,
                        verbose_name="kind",
                    ),
                ),
                ("token", core.db.encryption.EncryptedTextField(blank=True, verbose_name="token")),
                ("app_id", models.CharField(blank=True, max_length=40, verbose_name="app id")),
                ("installation_id", models.CharField(blank=True, max_length=40, verbose_name="installation id")),
                ("private_key", core.db.encryption.EncryptedTextField(blank=True, verbose_name="private key")),
                (
                    "expires_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="The expiry of the token, as last reported by GitHub.",
                        null=True,
                        verbose_name="expires at",
                    ),
                ),
                (
                    "problem",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="Why GitHub refuses the credential; empty if it is accepted.",
                        max_length=300,
                        verbose_name="problem",
                    ),
                ),
                ("warned_at", models.DateTimeField(editable=False, null=True, verbose_name="warned at")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
            ],
            options={
                "verbose_name": "GitHub credential",
                "verbose_name_plural": "GitHub credentials",
                "ordering": ["name"],
                "base_manager_name": "objects",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("kind", "token"), models.Q(("token", ""), _negated=True)),
                            models.Q(
                                ("kind", "app"),
                                models.Q(("app_id", ""), _negated=True),
                                models.Q(("installation_id", ""), _negated=True),
                                models.Q(("private_key", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="github_credential_is_whole",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Preferences",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("email_on_job_success", models.BooleanField(default=True, verbose_name="email on job success")),
                ("email_on_job_failure", models.BooleanField(default=True, verbose_name="email on job failure")),
                ("email_on_job_disabled", models.BooleanField(default=False, verbose_name="email on job disabled")),
                ("browser_notifications", models.BooleanField(default=False, verbose_name="browser notifications")),
                ("daily_digest", models.BooleanField(default=False, verbose_name="daily digest")),
                ("weekly_report", models.BooleanField(default=False, verbose_name="weekly report")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="preferences",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "notification preferences",
                "verbose_name_plural": "notification preferences",
            },
        ),
        migrations.CreateModel(
            name="SlackSettings",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.UUID("00000000-0000-0000-0000-000000000001"),
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("is_enabled", models.BooleanField(default=False, verbose_name="is enabled")),
                (
                    "webhook_url",
                    core.db.encryption.EncryptedTextField(
                        blank=True,
                        help_text="Slack's incoming webhook, https only. Stored encrypted.",
                        verbose_name="webhook URL",
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        blank=True,
                        help_text="Only for webhooks that allow a choice of channel.",
                        max_length=100,
                        verbose_name="channel",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
            ],
            options={
                "verbose_name": "Slack settings",
                "verbose_name_plural": "Slack settings",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("id", uuid.UUID("00000000-0000-0000-0000-000000000001"))),
                        name="slack_settings_is_one_row",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("is_enabled", False), models.Q(("webhook_url", ""), _negated=True), _connector="OR"
                        ),
                        name="slack_enabled_has_url",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="UiPreferences",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "jobs_table_columns",
                    models.JSONField(default=settings_app.models._default_columns, verbose_name="jobs table columns"),
                ),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ui_preferences",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "UI preferences",
                "verbose_name_plural": "UI preferences",
            },
        ),
    ]
