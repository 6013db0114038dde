"""Jobs, and the revision by which others notice that they changed."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from jobs.schedule import Schedule, schedule_of
from jobs.targets import GitHubTarget, Target, WebhookTarget
from settings_app.models import GitHubCredential
from taxonomy.models import Category, PicTeam


def today() -> dt.date:
    """The current day in the scheduler's zone."""
    return timezone.now().astimezone(settings.SCHEDULER_ZONE).date()


class MisfirePolicy(models.TextChoices):
    """What is done about fire times that passed, by more than the grace, without firing."""

    SKIP = "skip", _("Skip them")
    RUN_ONCE = "run_once", _("Run the latest one")
    RUN_ALL = "run_all", _("Run each of them (the latest 100)")


class OverlapPolicy(models.TextChoices):
    """What is done about a fire time while an execution of the job is still under way."""

    ALLOW = "allow", _("Run beside it")
    SKIP = "skip", _("Skip the fire time")
    QUEUE_ONE = "queue_one", _("Run after it (one waits, further ones are skipped)")


class RetryOn(models.TextChoices):
    """A failed attempt after which another may be made."""

    CONNECT = "connect", _("No connection")
    TIMEOUT = "timeout", _("No answer in time")
    BROKEN = "broken", _("The connection broke")
    SERVER_ERROR = "5xx", _("Status 500 to 599")
    TOO_MANY = "429", _("Status 429")


# Whole numbers of a job's policies, with the least and the most that is allowed.
LIMITS = {
    "misfire_grace_seconds": (1, 86_400),
    "timeout_seconds": (1, 3600),
    "connect_timeout_seconds": (1, 3600),
    "max_attempts": (1, 20),
    "retry_backoff_seconds": (1, 3600),
    "retry_deadline_seconds": (1, 86_400),
    "jitter_seconds": (0, 3600),
    "run_limit_minutes": (1, 50_400),
    "alert_after_failures": (1, 100),
    "alert_window": (0, 100),
    "slow_after_seconds": (0, 86_400),
}


def default_retry_on() -> list[str]:
    return [reason.value for reason in RetryOn]


class JobQuerySet(models.QuerySet["Job"]):
    """Questions asked of jobs."""

    def active(self) -> Self:
        return self.filter(is_active=True)

    def due(self, at: dt.datetime) -> Self:
        """Active jobs with a fire time at or before `at` that has not been fired, oldest first."""
        return self.active().filter(next_run_at__lte=at).order_by("next_run_at", "id")

    def expired(self) -> Self:
        """Jobs whose end date has passed (in the scheduler's zone)."""
        return self.filter(end_date__lt=today())

    def owned_by(self, user: Any) -> Self:
        return self.filter(created_by=user)


class Job(models.Model):
    """A unit of work that fires on a schedule until its end date.

    Exactly one target is set: a webhook URL, or the three GitHub fields. Times are UTC; `end_date` is the last day, in the
    scheduler's zone, on which the job may fire.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=255, unique=True)
    cron_expression = models.CharField(
        _("schedule"),
        max_length=255,
        help_text=_("Five fields as in crontab(5), such as 0 9 * * 1-5, or @daily and the like."),
    )
    target_url = models.CharField(_("webhook URL"), max_length=2048, blank=True)
    github_owner = models.CharField(_("GitHub owner"), max_length=100, blank=True)
    github_repo = models.CharField(_("GitHub repository"), max_length=100, blank=True)
    github_workflow_name = models.CharField(_("GitHub workflow"), max_length=100, blank=True)
    metadata = models.JSONField(
        _("metadata"),
        default=dict,
        blank=True,
        help_text=_("A JSON object: the webhook's body, or the workflow's inputs."),
    )
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="jobs", verbose_name=_("category"))
    pic_team = models.ForeignKey(PicTeam, on_delete=models.PROTECT, related_name="jobs", verbose_name=_("PIC team"))
    github_ref = models.CharField(
        _("branch or tag"),
        max_length=255,
        blank=True,
        help_text=_("Empty: branchDetails of the metadata, else master."),
    )
    github_credential = models.ForeignKey(
        GitHubCredential, on_delete=models.PROTECT, null=True, blank=True, related_name="jobs", verbose_name=_("GitHub credential"),
        help_text=_("Empty: the installation's GITHUB_TOKEN."),
    )  # fmt: skip
    wait_for_run = models.BooleanField(
        _("wait for the run"), default=True, help_text=_("Whether the workflow's own conclusion decides the outcome.")
    )
    run_limit_minutes = models.PositiveIntegerField(
        _("longest run (minutes)"),
        default=360,
        help_text=_("A run that takes longer is no longer waited for. 1 to 50400."),
    )
    end_date = models.DateField(_("end date"), help_text=_("The last day on which the job may fire."))
    start_date = models.DateField(
        _("start date"), null=True, blank=True, help_text=_("The first day on which the job may fire. Empty: at once.")
    )
    misfire_policy = models.CharField(
        _("misfire policy"),
        max_length=10,
        choices=MisfirePolicy.choices,
        default=MisfirePolicy.RUN_ONCE,
        help_text=_(
            "For fire times that no scheduler fired in time, such as after downtime. What is not run is recorded as missed."
        ),
    )
    misfire_grace_seconds = models.PositiveIntegerField(
        _("misfire grace seconds"),
        default=60,
        help_text=_("A fire time that is late by no more than this is run as usual. 1 to 86400 seconds."),
    )
    overlap_policy = models.CharField(
        _("overlap policy"),
        max_length=10,
        choices=OverlapPolicy.choices,
        default=OverlapPolicy.ALLOW,
        help_text=_("For a fire time at which the execution before is still under way."),
    )
    timeout_seconds = models.PositiveIntegerField(
        _("timeout seconds"), default=10, help_text=_("How long one call may take in all. 1 to 3600 seconds.")
    )
    connect_timeout_seconds = models.PositiveIntegerField(
        _("connect timeout seconds"), default=10, help_text=_("How long connecting may take. 1 to 3600 seconds.")
    )
    max_attempts = models.PositiveSmallIntegerField(
        _("max attempts"), default=1, help_text=_("How often a call is tried in all. 1 to 20; 1 is no retry.")
    )
    retry_backoff_seconds = models.PositiveIntegerField(
        _("retry backoff seconds"),
        default=10,
        help_text=_(
            "The wait before the second attempt; it doubles before each further one, give or take a fifth."
            " 1 to 3600 seconds."
        ),
    )
    retry_deadline_seconds = models.PositiveIntegerField(
        _("retry deadline seconds"),
        default=3600,
        help_text=_("No attempt begins later than this after the first. 1 to 86400 seconds."),
    )
    retry_on = models.JSONField(
        _("retry on"),
        default=default_retry_on,
        blank=True,
        help_text=_(
            "After which failures: connect, timeout, broken, 5xx, 429. A workflow is dispatched again only where nothing"
            " can have started."
        ),
    )
    jitter_seconds = models.PositiveIntegerField(
        _("jitter seconds"),
        default=0,
        help_text=_(
            "Calls leave up to this much after the fire time, each job always by the same offset, so that many jobs"
            " of one minute do not strike at once. 0 to 3600 seconds."
        ),
    )
    enable_email_notifications = models.BooleanField(_("enable email notifications"), default=False)
    notification_emails = models.JSONField(_("notification emails"), default=list, blank=True)
    notify_on_success = models.BooleanField(_("notify on success"), default=False)
    alert_after_failures = models.PositiveSmallIntegerField(
        _("alert after failures"), default=1, help_text=_("1: of each failure. More: when so many have failed, then daily until it passes. 1 to 100.")
    )  # fmt: skip
    alert_window = models.PositiveSmallIntegerField(
        _("of the last runs"), default=0, help_text=_("0: that many failures in a row. Else: that many of so many runs, for jobs that flap. 0 to 100.")
    )  # fmt: skip
    notify_on_recovery = models.BooleanField(
        _("notify on recovery"), default=False, help_text=_("When it succeeds again after an alert: how long it was failing.")
    )  # fmt: skip
    notify_on_missed = models.BooleanField(
        _("notify when missed or skipped"), default=False, help_text=_("When fire times were not run.")
    )
    slow_after_seconds = models.PositiveIntegerField(
        _("slow after (seconds)"), default=0, help_text=_("0: never. A run that took longer is told of, though it succeeded. 0 to 86400.")
    )  # fmt: skip
    slow_by_history = models.BooleanField(
        _("slow by its own history"), default=False, db_default=False,
        help_text=_("A run that took three times as long as the latest ones, and five seconds more, is told of."),
    )  # fmt: skip
    alert_slack = models.BooleanField(
        _("alert in Slack"), default=False, help_text=_("The same alerts go to Slack, with the team's mention.")
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="jobs",
        verbose_name=_("created by"),
    )
    is_active = models.BooleanField(_("is active"), default=True)
    next_run_at = models.DateTimeField(
        _("next run at"),
        null=True,
        editable=False,
        help_text=_("The first fire time that has not been fired; none when inactive or ended."),
    )
    last_execution_at = models.DateTimeField(_("last execution at"), null=True, editable=False)
    last_status = models.CharField(_("last status"), max_length=10, blank=True, editable=False)
    problem = models.CharField(
        _("problem"),
        max_length=500,
        blank=True,
        editable=False,
        help_text=_("Why the scheduler cannot fire the job; empty if it can."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects: ClassVar[models.Manager[Job]] = JobQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(
                name="job_has_exactly_one_target",
                condition=(
                    ~Q(target_url="") & Q(github_owner="", github_repo="", github_workflow_name="")
                    | Q(target_url="") & ~Q(github_owner="") & ~Q(github_repo="") & ~Q(github_workflow_name="")
                ),
            ),
            models.CheckConstraint(name="job_has_name", condition=~Q(name="")),
            models.CheckConstraint(
                name="job_misfire_policy_known", condition=Q(misfire_policy__in=MisfirePolicy.values)
            ),
            models.CheckConstraint(
                name="job_overlap_policy_known", condition=Q(overlap_policy__in=OverlapPolicy.values)
            ),
            *(
                models.CheckConstraint(
                    name=f"job_{name}_in_range", condition=Q(**{f"{name}__gte": least, f"{name}__lte": most})
                )
                for name, (least, most) in LIMITS.items()
            ),
            models.CheckConstraint(
                name="job_inactive_never_runs", condition=Q(is_active=True) | Q(next_run_at__isnull=True)
            ),
        ]
        indexes = [
            models.Index(fields=["next_run_at", "id"], name="job_due", condition=Q(is_active=True)),
            models.Index(fields=["is_active", "cron_expression"], name="job_schedules"),
            models.Index(fields=["end_date"], name="job_end_date"),
            models.Index(fields=["updated_at"], name="job_updated"),
            models.Index(fields=["-created_at", "id"], name="job_newest"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def schedule(self) -> Schedule:
        """When it fires; raises `CronError` if what is stored has become unusable."""
        return schedule_of(self.cron_expression)

    @property
    def target(self) -> Target:
        """Where it is delivered."""
        if self.target_url:
            return WebhookTarget(self.target_url)
        return GitHubTarget(self.github_owner, self.github_repo, self.github_workflow_name)

    @property
    def has_ended(self) -> bool:
        """Whether its end date has passed."""
        return self.end_date < today()

    def next_fire(self, after: dt.datetime) -> dt.datetime | None:
        """The first fire time strictly after `after` on which an active job may run; None if the end date comes first."""
        if not self.is_active:
            return None
        return fire_within(self.schedule.next(not_before(after, self.start_date)), self.end_date)

    @property
    def jitter(self) -> int:
        """The seconds by which its calls leave after the fire time: the job's own share of `jitter_seconds`, always the same."""
        return self.pk.int % (self.jitter_seconds + 1) if self.jitter_seconds else 0


def not_before(moment: dt.datetime, start_date: dt.date | None) -> dt.datetime:
    """`moment`, or the last instant before `start_date` begins in the scheduler's zone if that is later."""
    if start_date is None:
        return moment
    begin = dt.datetime.combine(start_date, dt.time(), settings.SCHEDULER_ZONE)
    return max(moment, begin - dt.timedelta(microseconds=1))


def fire_within(moment: dt.datetime, end_date: dt.date) -> dt.datetime | None:
    """`moment` unless its day in the scheduler's zone comes after `end_date`."""
    return moment if moment.astimezone(settings.SCHEDULER_ZONE).date() <= end_date else None


class ChangeRecord(models.Model):
    """One change of a job, an account, a label or a setting: the trail that says who did what from where. It outlives its subject.

    `schedule` is there for jobs: what decides when the job fires, as it was from then on.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subject = models.CharField(_("subject"), max_length=20, default="job", help_text=_("The kind of what was changed."))
    subject_id = models.UUIDField(_("subject id"), null=True)
    name = models.CharField(_("name"), max_length=255)
    at = models.DateTimeField(_("at"), default=timezone.now)
    kind = models.CharField(_("kind"), max_length=10)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )
    by_email = models.CharField(
        _("by email"), max_length=254, blank=True, help_text=_("Who did it; empty for the product itself.")
    )
    address = models.GenericIPAddressField(
        _("address"), null=True, help_text=_("Where the request came from; empty outside a request.")
    )
    difference = models.JSONField(
        _("difference"), default=dict, help_text=_("Changed fields: what before, what after.")
    )
    schedule = models.JSONField(
        _("schedule"), null=True, help_text=_("What decides when the job fires, as it was from then on.")
    )

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["subject_id", "-at"], name="change_of_subject")]

    def __str__(self) -> str:
        return f"{self.name} {self.kind}"


class SpentLink(models.Model):
    """A signed link that was used: it works once, whatever becomes of the job."""

    token_digest = models.CharField(_("token's digest"), max_length=64, primary_key=True)
    spent_at = models.DateTimeField(_("spent at"), default=timezone.now)

    class Meta:
        verbose_name = _("used link")
        verbose_name_plural = _("used links")

    def __str__(self) -> str:
        return self.token_digest


class Revision(models.Model):
    """One row: `number` grows with every change of what the job list shows, `edits` with every change made by somebody."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(_("number"), default=0)
    edits = models.BigIntegerField(_("edits"), default=0)

    class Meta:
        verbose_name = _("revision")
        verbose_name_plural = _("revisions")
        constraints = [models.CheckConstraint(name="revision_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def current(cls) -> int:
        return cls.objects.values_list("number", flat=True).filter(pk=1).first() or 0

    @classmethod
    def both(cls) -> tuple[int, int]:
        """`number` and `edits` as they are now."""
        return cls.objects.values_list("number", "edits").filter(pk=1).first() or (0, 0)

    @classmethod
    def bump(cls, *, edited: bool = False) -> None:
        """Raise the number, and `edits` where somebody changed a job; within the caller's transaction."""
        edits = int(edited)
        if not cls.objects.filter(pk=1).update(number=F("number") + 1, edits=F("edits") + edits):
            cls.objects.get_or_create(pk=1, defaults={"number": 1, "edits": edits})
