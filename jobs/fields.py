"""The settings of a job: each field is declared here, and only here (docs/adding-a-job-field.md)."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _
from yarl import URL

from calendars.models import Calendar
from core.masking import masked, masked_url
from jobs.field_traits import Column, Section, declare
from taxonomy.models import Category, PicTeam


class MisfirePolicy(models.TextChoices):
    """What happens to fire times that were missed by more than the grace period."""

    SKIP = "skip", _("Skip them")
    RUN_ONCE = "run_once", _("Run the latest one")
    RUN_ALL = "run_all", _("Run each of them (the latest 100)")


class OverlapPolicy(models.TextChoices):
    """What happens to a fire time while an execution of the job is still running."""

    ALLOW = "allow", _("Run beside it")
    SKIP = "skip", _("Skip the fire time")
    QUEUE_ONE = "queue_one", _("Run after it (one waits, further ones are skipped)")


class OnClosedDay(models.TextChoices):
    """What happens to a nominal time on a closed day of the job's calendar."""

    RUN = "run", _("Run all the same")
    SKIP = "skip", _("Skip it")
    NEXT_OPEN = "next_open", _("Move it to the next open day")
    PREVIOUS_OPEN = "previous_open", _("Move it to the previous open day")


class RetryOn(models.TextChoices):
    """The failures after which another attempt is made."""

    CONNECT = "connect", _("No connection")
    TIMEOUT = "timeout", _("No answer in time")
    BROKEN = "broken", _("The connection broke")
    SERVER_ERROR = "5xx", _("Status 500 to 599")
    TOO_MANY = "429", _("Status 429")
    CRITERIA = "criteria", _("The answer is no success by the job's own rules")


def default_retry_on() -> list[str]:
    return [reason.value for reason in RetryOn if reason != RetryOn.CRITERIA]


def _url_without_secrets(url: Any) -> Any:
    return str(URL(url).with_query(None).with_user(None)) if url else url


class JobSettings(models.Model):
    """The settings of a job.

    Exactly one target is set: the fields of the kind `target_kind`. `start_date` and `end_date` are the first and the
    last day, in the job's zone, on which it may fire.
    """

    name = declare(
        models.CharField(_("name"), max_length=255, unique=True),
        section=Section.WHAT,
        rule=True,
        fired=True,
        copied=False,
        csv=Column("Job Name", ("name",), 1),
    )
    category = declare(
        models.ForeignKey(Category, on_delete=models.PROTECT, related_name="jobs", verbose_name=_("category")),
        section=Section.WHAT,
        row="category",
        rule=True,
        lookup="category__slug",
        csv=Column("Category", ("job category", "job_category"), 5),
        help="Slug of the category.",
    )
    is_active = declare(
        models.BooleanField(_("enabled"), default=True),
        section=Section.WHAT,
        rule=True,
        schedule=True,
        copied=False,
        csv=Column("Status", ("is_active", "active"), 3),
    )
    cron_expression = declare(
        models.CharField(
            _("schedule"),
            max_length=255,
            help_text=_(
                "Five fields as in crontab(5), such as 0 9 * * 1-5, or @daily and the like; @manually for none."
            ),
        ),
        section=Section.WHEN,
        rule=True,
        schedule=True,
        times=True,
        fired=True,
        # A schedule such as @daily only looks like a formula.
        csv=Column("Cron Schedule (JST)", ("cron expression", "cron", "cron_expression"), 2, quoted=False),
    )
    time_zone = declare(
        models.CharField(
            _("time zone"),
            max_length=64,
            blank=True,
            default="",
            db_default="",
            help_text=_(
                "In which schedule, start and end date are read, such as Europe/Berlin. Empty: Cronsched's own."
            ),
        ),
        section=Section.WHEN,
        row="calendar",
        rule=True,
        schedule=True,
        times=True,
        fired=True,
    )
    calendar = declare(
        models.ForeignKey(
            Calendar,
            on_delete=models.PROTECT,
            null=True,
            blank=True,
            related_name="jobs",
            verbose_name=_("calendar"),
            help_text=_("Its closed days are for the rule beside it. Empty: every day is open."),
        ),
        section=Section.WHEN,
        row="calendar",
        rule=True,
        lookup="calendar__slug",
        schedule=True,
        times=True,
        fired=True,
        help="Slug or name of the business calendar; null for none.",
    )
    on_closed_day = declare(
        models.CharField(
            _("on a closed day"),
            max_length=14,
            choices=OnClosedDay.choices,
            default=OnClosedDay.RUN,
            db_default=OnClosedDay.RUN.value,
            help_text=_("A day that moves keeps its time of day."),
        ),
        section=Section.WHEN,
        row="closed",
        schedule=True,
        times=True,
        fired=True,
    )
    shift_limit_days = declare(
        models.PositiveSmallIntegerField(
            _("move by at most (days)"),
            default=10,
            db_default=10,
            help_text=_("If no day is open within it, the time is skipped. 1 to 31 days."),
        ),
        section=Section.WHEN,
        row="closed",
        bounds=(1, 31),
        schedule=True,
        times=True,
        fired=True,
    )
    keep_month = declare(
        models.BooleanField(
            _("stay within the month"),
            default=False,
            db_default=False,
            help_text=_("A move that would leave the month goes the other way."),
        ),
        section=Section.WHEN,
        row="counted",
        schedule=True,
        times=True,
        fired=True,
    )
    shift_open_days = declare(
        models.SmallIntegerField(
            _("then count open days"),
            default=0,
            db_default=0,
            help_text=_("So many open days later, or earlier with a minus, such as 5 after a closing date. -20 to 20."),
        ),
        section=Section.WHEN,
        row="counted",
        bounds=(-20, 20),
        schedule=True,
        times=True,
        fired=True,
    )
    every_nth = declare(
        models.PositiveSmallIntegerField(
            _("every n-th day of the schedule"),
            default=1,
            db_default=1,
            help_text=_("1: each of its days. 2: every other one, such as every other Friday. 1 to 366."),
        ),
        section=Section.WHEN,
        row="nth",
        bounds=(1, 366),
        schedule=True,
        times=True,
        fired=True,
    )
    counted_from = declare(
        models.DateField(
            _("counted from"),
            null=True,
            blank=True,
            help_text=_("The first day of the schedule on or after this date runs, and then every n-th."),
        ),
        section=Section.WHEN,
        row="nth",
        schedule=True,
        times=True,
        fired=True,
    )
    jitter_seconds = declare(
        models.PositiveIntegerField(
            _("jitter (seconds)"),
            default=0,
            help_text=_(
                "Delays the calls after the fire time by up to this, each job by a fixed part, so "
                "that jobs with the same schedule do not call at once. 0 to 3600 seconds."
            ),
        ),
        section=Section.FAILURE,
        bounds=(0, 3600),
        fired=True,
    )
    target_kind = declare(
        models.CharField(_("what is called"), max_length=20, default="webhook", db_default="webhook"),
        rule=True,
        fired=True,
        exported=False,
        audited=False,
    )
    target_url = declare(
        models.CharField(_("webhook URL"), max_length=2048, blank=True),
        section=Section.TARGET,
        rule=True,
        fired=True,
        exported=False,
        outline=_url_without_secrets,
        masked=masked_url,
        help="A URL given decides: a webhook.",
    )
    github_owner = declare(
        models.CharField(_("GitHub owner"), max_length=100, blank=True),
        section=Section.TARGET,
        rule=True,
        fired=True,
        exported=False,
    )
    github_repo = declare(
        models.CharField(_("GitHub repository"), max_length=100, blank=True),
        section=Section.TARGET,
        rule=True,
        fired=True,
        exported=False,
    )
    github_workflow_name = declare(
        models.CharField(_("GitHub workflow"), max_length=100, blank=True),
        section=Section.TARGET,
        rule=True,
        fired=True,
        exported=False,
    )
    target_options = declare(
        models.JSONField(
            _("target options"),
            default=dict,
            blank=True,
            db_default=models.Value({}, models.JSONField()),
            help_text=_("Fields of kinds of targets that have no column of their own."),
        ),
        rule=True,
        fired=True,
        exported=False,
    )
    metadata = declare(
        models.JSONField(
            _("request body or workflow inputs"),
            default=dict,
            blank=True,
            help_text=_("A JSON object."),
        ),
        section=Section.TARGET,
        rule=True,
        fired=True,
        outline=sorted,
        masked=masked,
        csv=Column("Request Body", ("request_body", "metadata"), 9),
    )
    start_date = declare(
        models.DateField(
            _("start date"),
            null=True,
            blank=True,
            help_text=_("The first day on which the job may fire. Empty: at once."),
        ),
        section=Section.PERIOD,
        row="period",
        rule=True,
        schedule=True,
        fired=True,
    )
    end_date = declare(
        models.DateField(_("end date"), help_text=_("The last day on which the job may fire.")),
        section=Section.PERIOD,
        row="period",
        rule=True,
        schedule=True,
        fired=True,
        csv=Column("End Date", ("end_date",), 6),
    )
    pic_team = declare(
        models.ForeignKey(PicTeam, on_delete=models.PROTECT, related_name="jobs", verbose_name=_("team")),
        section=Section.WHAT,
        row="category",
        rule=True,
        lookup="pic_team__slug",
        fired=True,
        csv=Column("PIC Team", ("pic_team", "pic team slug", "pic_team_slug"), 7),
        help="Slug of the PIC team.",
    )
    enable_email_notifications = declare(
        models.BooleanField(_("alert by e-mail"), default=False),
        section=Section.NOTIFICATIONS,
        rule=True,
    )
    notification_emails = declare(
        models.JSONField(_("e-mail addresses"), default=list, blank=True),
        section=Section.NOTIFICATIONS,
        rule=True,
    )
    alert_slack = declare(
        models.BooleanField(
            _("alert in Slack"),
            default=False,
            help_text=_("Sends the alerts to Slack as well, and mentions the team."),
        ),
        section=Section.NOTIFICATIONS,
    )
    alert_after_failures = declare(
        models.PositiveSmallIntegerField(
            _("alert after failures"),
            default=1,
            help_text=_(
                "1 alerts on every failure. A higher number alerts once that many runs have failed, then daily "
                "until the job recovers. 1 to 100."
            ),
        ),
        section=Section.NOTIFICATIONS,
        row="alert",
        bounds=(1, 100),
    )
    alert_window = declare(
        models.PositiveSmallIntegerField(
            _("out of the last runs"),
            default=0,
            help_text=_("0: failures in a row. M: failures among the last M runs, for jobs that alternate. 0 to 100."),
        ),
        section=Section.NOTIFICATIONS,
        row="alert",
        bounds=(0, 100),
    )
    notify_on_recovery = declare(
        models.BooleanField(
            _("notify on recovery"),
            default=False,
            help_text=_("An alert when the job succeeds again, with the length of the failing period."),
        ),
        section=Section.NOTIFICATIONS,
    )
    notify_on_missed = declare(
        models.BooleanField(
            _("notify when missed or skipped"), default=False, help_text=_("When fire times were not run.")
        ),
        section=Section.NOTIFICATIONS,
        fired=True,
    )
    notify_on_success = declare(
        models.BooleanField(_("notify on success"), default=False),
        section=Section.NOTIFICATIONS,
        rule=True,
    )
    slow_after_seconds = declare(
        models.PositiveIntegerField(
            _("slow after (seconds)"),
            default=0,
            help_text=_("An alert if a successful run takes longer. 0: never. 0 to 86400 seconds."),
        ),
        section=Section.NOTIFICATIONS,
        bounds=(0, 86_400),
    )
    slow_by_history = declare(
        models.BooleanField(
            _("slow by its own history"),
            default=False,
            db_default=False,
            help_text=_("An alert if a run takes three times the median of the latest runs and five seconds more."),
        ),
        section=Section.NOTIFICATIONS,
    )
    timeout_seconds = declare(
        models.PositiveIntegerField(
            _("timeout (seconds)"),
            default=10,
            help_text=_("The timeout of one call. 1 to 3600 seconds."),
        ),
        section=Section.FAILURE,
        row="timeouts",
        bounds=(1, 3600),
        fired=True,
    )
    connect_timeout_seconds = declare(
        models.PositiveIntegerField(
            _("connect timeout (seconds)"),
            default=10,
            help_text=_("The timeout of the connection. 1 to 3600 seconds."),
        ),
        section=Section.FAILURE,
        row="timeouts",
        bounds=(1, 3600),
        fired=True,
    )
    run_limit_minutes = declare(
        models.PositiveIntegerField(
            _("longest run (minutes)"),
            default=360,
            help_text=_(
                "It fails if a workflow run, or work that ends after its webhook's answer, takes longer. "
                "1 to 50400 minutes."
            ),
        ),
        section=Section.FAILURE,
        row="timeouts",
        bounds=(1, 50_400),
    )
    max_attempts = declare(
        models.PositiveSmallIntegerField(
            _("max attempts"),
            default=1,
            help_text=_("The maximum number of attempts. 1 to 20; 1 is no retry."),
        ),
        section=Section.FAILURE,
        row="retries",
        bounds=(1, 20),
        fired=True,
    )
    retry_backoff_seconds = declare(
        models.PositiveIntegerField(
            _("retry backoff (seconds)"),
            default=10,
            help_text=_(
                "The wait before the second attempt; it doubles with each attempt, with a jitter of "
                "20 percent. 1 to 3600 seconds."
            ),
        ),
        section=Section.FAILURE,
        row="retries",
        bounds=(1, 3600),
        fired=True,
    )
    retry_deadline_seconds = declare(
        models.PositiveIntegerField(
            _("retry deadline (seconds)"),
            default=3600,
            help_text=_("No attempt begins later than this after the first. 1 to 86400 seconds."),
        ),
        section=Section.FAILURE,
        row="retries",
        bounds=(1, 86_400),
        fired=True,
    )
    retry_on = declare(
        models.JSONField(
            _("retry on"),
            default=default_retry_on,
            blank=True,
            help_text=_(
                "The failures that are retried: connect, timeout, broken, 5xx, 429. A dispatch is "
                "only repeated if no run can have started."
            ),
        ),
        section=Section.FAILURE,
        choices=RetryOn,
        fired=True,
    )
    misfire_policy = declare(
        models.CharField(
            _("if a run was missed"),
            max_length=10,
            choices=MisfirePolicy.choices,
            default=MisfirePolicy.RUN_ONCE,
            help_text=_(
                "For fire times that no scheduler fired in time, such as after downtime. Those that "
                "do not run are recorded as missed."
            ),
        ),
        section=Section.FAILURE,
        row="misfire",
        fired=True,
    )
    misfire_grace_seconds = declare(
        models.PositiveIntegerField(
            _("misfire grace (seconds)"),
            default=60,
            help_text=_("A fire time with a shorter delay runs as usual. 1 to 86400 seconds."),
        ),
        section=Section.FAILURE,
        row="misfire",
        bounds=(1, 86_400),
        fired=True,
    )
    overlap_policy = declare(
        models.CharField(
            _("if the job still runs"),
            max_length=10,
            choices=OverlapPolicy.choices,
            default=OverlapPolicy.ALLOW,
            help_text=_("For a fire time while an execution of the job is still running."),
        ),
        section=Section.FAILURE,
        fired=True,
    )

    class Meta:
        abstract = True
