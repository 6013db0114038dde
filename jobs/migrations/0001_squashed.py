"""The tables of the first release. Replaces all earlier migrations; databases that applied them stay unchanged."""

import uuid

import django.db.models.deletion
import django.utils.timezone
import uuid_utils.compat
from django.conf import settings
from django.db import migrations, models

import jobs.fields


class Migration(migrations.Migration):
    replaces = [
        ("jobs", "0001_initial"),
        ("jobs", "0002_audit"),
        ("jobs", "0003_github_runs"),
        ("jobs", "0004_alerts"),
        ("jobs", "0005_slow_by_history"),
        ("jobs", "0006_spent_links"),
    ]

    initial = True

    dependencies = [
        ("settings_app", "0001_squashed"),
        ("taxonomy", "0001_squashed"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="SpentLink",
            fields=[
                (
                    "token_digest",
                    models.CharField(max_length=64, primary_key=True, serialize=False, verbose_name="token's digest"),
                ),
                ("spent_at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="spent at")),
            ],
            options={
                "verbose_name": "used link",
                "verbose_name_plural": "used links",
            },
        ),
        migrations.CreateModel(
            name="Revision",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("number", models.BigIntegerField(default=0, verbose_name="number")),
                ("edits", models.BigIntegerField(default=0, verbose_name="edits")),
            ],
            options={
                "verbose_name": "revision",
                "verbose_name_plural": "revisions",
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="revision_is_one_row")],
            },
        ),
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
                        default="job", help_text="The kind of what was changed.", max_length=20, verbose_name="subject"
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
                        help_text="Who did it; empty for the product itself.",
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
                        default=dict, help_text="Changed fields: what before, what after.", verbose_name="difference"
                    ),
                ),
                (
                    "schedule",
                    models.JSONField(
                        help_text="What decides when the job fires, as it was from then on.",
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
        ),
        migrations.CreateModel(
            name="Job",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=255, unique=True, verbose_name="name")),
                (
                    "cron_expression",
                    models.CharField(
                        help_text="Five fields as in crontab(5), such as 0 9 * * 1-5, or @daily and the like.",
                        max_length=255,
                        verbose_name="schedule",
                    ),
                ),
                ("target_url", models.CharField(blank=True, max_length=2048, verbose_name="webhook URL")),
                ("github_owner", models.CharField(blank=True, max_length=100, verbose_name="GitHub owner")),
                ("github_repo", models.CharField(blank=True, max_length=100, verbose_name="GitHub repository")),
                ("github_workflow_name", models.CharField(blank=True, max_length=100, verbose_name="GitHub workflow")),
                (
                    "metadata",
                    models.JSONField(
                        blank=True,
                        default=dict,
                        help_text="A JSON object: the webhook's body, or the workflow's inputs.",
                        verbose_name="metadata",
                    ),
                ),
                (
                    "github_ref",
                    models.CharField(
                        blank=True,
                        help_text="Empty: branchDetails of the metadata, else master.",
                        max_length=255,
                        verbose_name="branch or tag",
                    ),
                ),
                (
                    "wait_for_run",
                    models.BooleanField(
                        default=True,
                        help_text="The conclusion of the workflow run decides the outcome.",
                        verbose_name="wait for the run",
                    ),
                ),
                (
                    "run_limit_minutes",
                    models.PositiveIntegerField(
                        default=360,
                        help_text="The execution fails if the run takes longer. 1 to 50400 minutes.",
                        verbose_name="longest run (minutes)",
                    ),
                ),
                (
                    "end_date",
                    models.DateField(help_text="The last day on which the job may fire.", verbose_name="end date"),
                ),
                (
                    "start_date",
                    models.DateField(
                        blank=True,
                        help_text="The first day on which the job may fire. Empty: at once.",
                        null=True,
                        verbose_name="start date",
                    ),
                ),
                (
                    "misfire_policy",
                    models.CharField(
                        choices=[
                            ("skip", "Skip them"),
                            ("run_once", "Run the latest one"),
                            ("run_all", "Run each of them (the latest 100)"),
                        ],
                        default="run_once",
                        help_text="For fire times that no scheduler fired in time, such as after downtime. Those that do not run are recorded as missed.",
                        max_length=10,
                        verbose_name="misfire policy",
                    ),
                ),
                (
                    "misfire_grace_seconds",
                    models.PositiveIntegerField(
                        default=60,
                        help_text="A fire time with a shorter delay runs as usual. 1 to 86400 seconds.",
                        verbose_name="misfire grace seconds",
                    ),
                ),
                (
                    "overlap_policy",
                    models.CharField(
                        choices=[
                            ("allow", "Run beside it"),
                            ("skip", "Skip the fire time"),
                            ("queue_one", "Run after it (one waits, further ones are skipped)"),
                        ],
                        default="allow",
                        help_text="For a fire time while an execution of the job is still running.",
                        max_length=10,
                        verbose_name="overlap policy",
                    ),
                ),
                (
                    "timeout_seconds",
                    models.PositiveIntegerField(
                        default=10,
                        help_text="The timeout of one call. 1 to 3600 seconds.",
                        verbose_name="timeout seconds",
                    ),
                ),
                (
                    "connect_timeout_seconds",
                    models.PositiveIntegerField(
                        default=10,
                        help_text="The timeout of the connection. 1 to 3600 seconds.",
                        verbose_name="connect timeout seconds",
                    ),
                ),
                (
                    "max_attempts",
                    models.PositiveSmallIntegerField(
                        default=1,
                        help_text="The maximum number of attempts. 1 to 20; 1 is no retry.",
                        verbose_name="max attempts",
                    ),
                ),
                (
                    "retry_backoff_seconds",
                    models.PositiveIntegerField(
                        default=10,
                        help_text="The wait before the second attempt; it doubles with each attempt, with a jitter of 20 percent. 1 to 3600 seconds.",
                        verbose_name="retry backoff seconds",
                    ),
                ),
                (
                    "retry_deadline_seconds",
                    models.PositiveIntegerField(
                        default=3600,
                        help_text="No attempt begins later than this after the first. 1 to 86400 seconds.",
                        verbose_name="retry deadline seconds",
                    ),
                ),
                (
                    "retry_on",
                    models.JSONField(
                        blank=True,
                        default=jobs.fields.default_retry_on,
                        help_text="The failures that are retried: connect, timeout, broken, 5xx, 429. A dispatch is only repeated if no run can have started.",
                        verbose_name="retry on",
                    ),
                ),
                (
                    "jitter_seconds",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="Delays the calls after the fire time by up to this, each job by a fixed part, so that jobs with the same schedule do not call at once. 0 to 3600 seconds.",
                        verbose_name="jitter seconds",
                    ),
                ),
                (
                    "enable_email_notifications",
                    models.BooleanField(default=False, verbose_name="enable email notifications"),
                ),
                ("notification_emails", models.JSONField(blank=True, default=list, verbose_name="notification emails")),
                ("notify_on_success", models.BooleanField(default=False, verbose_name="notify on success")),
                (
                    "alert_after_failures",
                    models.PositiveSmallIntegerField(
                        default=1,
                        help_text="1: an alert for each failure. N: an alert after N failures, then a daily reminder until the job recovers. 1 to 100.",
                        verbose_name="alert after failures",
                    ),
                ),
                (
                    "alert_window",
                    models.PositiveSmallIntegerField(
                        default=0,
                        help_text="0: failures in a row. M: failures among the last M runs, for jobs that alternate. 0 to 100.",
                        verbose_name="of the last runs",
                    ),
                ),
                (
                    "notify_on_recovery",
                    models.BooleanField(
                        default=False,
                        help_text="An alert when the job succeeds again, with the length of the failing period.",
                        verbose_name="notify on recovery",
                    ),
                ),
                (
                    "notify_on_missed",
                    models.BooleanField(
                        default=False,
                        help_text="When fire times were not run.",
                        verbose_name="notify when missed or skipped",
                    ),
                ),
                (
                    "slow_after_seconds",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="An alert if a successful run takes longer. 0: never. 0 to 86400 seconds.",
                        verbose_name="slow after (seconds)",
                    ),
                ),
                (
                    "slow_by_history",
                    models.BooleanField(
                        db_default=False,
                        default=False,
                        help_text="An alert if a run takes three times the median of the latest runs and five seconds more.",
                        verbose_name="slow by its own history",
                    ),
                ),
                (
                    "alert_slack",
                    models.BooleanField(
                        default=False,
                        help_text="Sends the alerts to Slack as well, and mentions the team.",
                        verbose_name="alert in Slack",
                    ),
                ),
                ("is_active", models.BooleanField(default=True, verbose_name="is active")),
                (
                    "next_run_at",
                    models.DateTimeField(
                        editable=False,
                        help_text="The first fire time that has not been fired; none when inactive or ended.",
                        null=True,
                        verbose_name="next run at",
                    ),
                ),
                (
                    "last_execution_at",
                    models.DateTimeField(editable=False, null=True, verbose_name="last execution at"),
                ),
                (
                    "last_status",
                    models.CharField(blank=True, editable=False, max_length=10, verbose_name="last status"),
                ),
                (
                    "problem",
                    models.CharField(
                        blank=True,
                        editable=False,
                        help_text="Why the scheduler cannot fire the job; empty if it can.",
                        max_length=500,
                        verbose_name="problem",
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                ("updated_at", models.DateTimeField(auto_now=True, verbose_name="updated at")),
                (
                    "category",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="jobs",
                        to="taxonomy.category",
                        verbose_name="category",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="jobs",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="created by",
                    ),
                ),
                (
                    "github_credential",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: the installation's GITHUB_TOKEN.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="jobs",
                        to="settings_app.githubcredential",
                        verbose_name="GitHub credential",
                    ),
                ),
                (
                    "pic_team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="jobs",
                        to="taxonomy.picteam",
                        verbose_name="PIC team",
                    ),
                ),
            ],
            options={
                "verbose_name": "job",
                "verbose_name_plural": "jobs",
                "ordering": ["-created_at", "id"],
                "indexes": [
                    models.Index(condition=models.Q(("is_active", True)), fields=["next_run_at", "id"], name="job_due"),
                    models.Index(fields=["is_active", "cron_expression"], name="job_schedules"),
                    models.Index(fields=["end_date"], name="job_end_date"),
                    models.Index(fields=["updated_at"], name="job_updated"),
                    models.Index(fields=["-created_at", "id"], name="job_newest"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                models.Q(("target_url", ""), _negated=True),
                                ("github_owner", ""),
                                ("github_repo", ""),
                                ("github_workflow_name", ""),
                            ),
                            models.Q(
                                ("target_url", ""),
                                models.Q(("github_owner", ""), _negated=True),
                                models.Q(("github_repo", ""), _negated=True),
                                models.Q(("github_workflow_name", ""), _negated=True),
                            ),
                            _connector="OR",
                        ),
                        name="job_has_exactly_one_target",
                    ),
                    models.CheckConstraint(condition=models.Q(("name", ""), _negated=True), name="job_has_name"),
                    models.CheckConstraint(
                        condition=models.Q(("misfire_policy__in", ["skip", "run_once", "run_all"])),
                        name="job_misfire_policy_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("overlap_policy__in", ["allow", "skip", "queue_one"])),
                        name="job_overlap_policy_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("misfire_grace_seconds__gte", 1), ("misfire_grace_seconds__lte", 86400)),
                        name="job_misfire_grace_seconds_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("timeout_seconds__gte", 1), ("timeout_seconds__lte", 3600)),
                        name="job_timeout_seconds_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("connect_timeout_seconds__gte", 1), ("connect_timeout_seconds__lte", 3600)),
                        name="job_connect_timeout_seconds_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("max_attempts__gte", 1), ("max_attempts__lte", 20)),
                        name="job_max_attempts_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("retry_backoff_seconds__gte", 1), ("retry_backoff_seconds__lte", 3600)),
                        name="job_retry_backoff_seconds_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("retry_deadline_seconds__gte", 1), ("retry_deadline_seconds__lte", 86400)),
                        name="job_retry_deadline_seconds_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("jitter_seconds__gte", 0), ("jitter_seconds__lte", 3600)),
                        name="job_jitter_seconds_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("run_limit_minutes__gte", 1), ("run_limit_minutes__lte", 50400)),
                        name="job_run_limit_minutes_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("alert_after_failures__gte", 1), ("alert_after_failures__lte", 100)),
                        name="job_alert_after_failures_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("alert_window__gte", 0), ("alert_window__lte", 100)),
                        name="job_alert_window_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("slow_after_seconds__gte", 0), ("slow_after_seconds__lte", 86400)),
                        name="job_slow_after_seconds_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("is_active", True), ("next_run_at__isnull", True), _connector="OR"),
                        name="job_inactive_never_runs",
                    ),
                ],
            },
        ),
    ]
