"""Jobs, and the revision by which others notice that they changed."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from jobs.schedule import Schedule, schedule_of
from jobs.targets import GitHubTarget, Target, WebhookTarget
from taxonomy.models import Category, PicTeam


def today() -> dt.date:
    """The current day in the scheduler's zone."""
    return timezone.now().astimezone(settings.SCHEDULER_ZONE).date()


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
    name = models.CharField(max_length=255, unique=True)
    cron_expression = models.CharField(
        "schedule",
        max_length=255,
        help_text="Five fields as in crontab(5), such as 0 9 * * 1-5, or @daily and the like.",
    )
    target_url = models.CharField("webhook URL", max_length=2048, blank=True)
    github_owner = models.CharField("GitHub owner", max_length=100, blank=True)
    github_repo = models.CharField("GitHub repository", max_length=100, blank=True)
    github_workflow_name = models.CharField("GitHub workflow", max_length=100, blank=True)
    metadata = models.JSONField(
        default=dict, blank=True, help_text="A JSON object: the webhook's body, or the workflow's inputs."
    )
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="jobs")
    pic_team = models.ForeignKey(PicTeam, on_delete=models.PROTECT, related_name="jobs", verbose_name="PIC team")
    end_date = models.DateField(help_text="The last day on which the job may fire.")
    enable_email_notifications = models.BooleanField(default=False)
    notification_emails = models.JSONField(default=list, blank=True)
    notify_on_success = models.BooleanField(default=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="jobs"
    )
    is_active = models.BooleanField(default=True)
    next_run_at = models.DateTimeField(
        null=True, editable=False, help_text="The first fire time that has not been fired; none when inactive or ended."
    )
    last_execution_at = models.DateTimeField(null=True, editable=False)
    last_status = models.CharField(max_length=10, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[Job]] = JobQuerySet.as_manager()

    class Meta:
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
                name="job_inactive_never_runs", condition=Q(is_active=True) | Q(next_run_at__isnull=True)
            ),
        ]
        indexes = [
            models.Index(fields=["next_run_at", "id"], name="job_due", condition=Q(is_active=True)),
            models.Index(fields=["is_active", "cron_expression"], name="job_schedules"),
            models.Index(fields=["end_date"], name="job_end_date"),
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
        return fire_within(self.schedule.next(after), self.end_date) if self.is_active else None


def fire_within(moment: dt.datetime, end_date: dt.date) -> dt.datetime | None:
    """`moment` unless its day in the scheduler's zone comes after `end_date`."""
    return moment if moment.astimezone(settings.SCHEDULER_ZONE).date() <= end_date else None


class Revision(models.Model):
    """One row whose number grows with every change of what the job list shows or the scheduler acts on."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.CheckConstraint(name="revision_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return str(self.number)

    @classmethod
    def current(cls) -> int:
        return cls.objects.values_list("number", flat=True).filter(pk=1).first() or 0

    @classmethod
    def bump(cls) -> None:
        """Raise the number, within the caller's transaction."""
        if not cls.objects.filter(pk=1).update(number=F("number") + 1):
            cls.objects.get_or_create(pk=1, defaults={"number": 1})
