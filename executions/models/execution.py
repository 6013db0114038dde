"""Executions: one row for each fire time or manual run of a job."""

from __future__ import annotations

from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from jobs.models import Job


class Status(models.TextChoices):
    """The state of an execution. The state diagram is in docs/execution-states.md."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    SUCCESS = "success", _("Success")
    FAILED = "failed", _("Failed")
    SKIPPED = "skipped", _("Skipped")
    MISSED = "missed", _("Missed")
    CANCELLED = "cancelled", _("Cancelled")


class TriggerType(models.TextChoices):
    SCHEDULED = "scheduled", _("Scheduled")
    MANUAL = "manual", _("Manual")


OPEN = (Status.QUEUED, Status.RUNNING)


# The `run_id` of work that a webhook began.
WITHOUT_NUMBER = 0


class ExecutionQuerySet(models.QuerySet["Execution"]):
    """Queries on executions."""

    def newest_first(self) -> Self:
        return self.order_by("-started_at", "-id")

    def of_kept_jobs(self) -> Self:
        """Without executions of deleted jobs whose history is still being deleted."""
        deleted = list(Job.with_deleted.deleted().values_list("pk", flat=True))
        return self.exclude(job__in=deleted) if deleted else self

    def awaited(self) -> Self:
        """Running executions whose webhook answered 202: their receiver, or its status address, says how they end."""
        return self.filter(status=Status.RUNNING, run_id=WITHOUT_NUMBER)

    def unclaimed(self) -> Self:
        """Running executions without a worker: new ones for Celery workers, and those that a worker released when it
        ended.
        """
        return self.filter(status=Status.RUNNING, worker_id=None, run_id=None)


class Execution(models.Model):
    """One firing of a job. Times are UTC; the row is written before the first call.

    `scheduled_for` is the fire time, None for a manual run; a job has at most one execution for each fire time.
    `started_at` is when the row was written. `attempts` holds the time of each call: `[{"started_at",
    "duration_seconds", "status", "error"}]`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    job = models.ForeignKey(
        Job, on_delete=models.CASCADE, related_name="executions", db_index=False, verbose_name=_("job")
    )
    status = models.CharField(_("outcome"), max_length=10, choices=Status.choices, default=Status.RUNNING)
    trigger_type = models.CharField(_("trigger"), max_length=10, choices=TriggerType.choices)
    triggered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,
        verbose_name=_("triggered by"),
    )
    scheduled_for = models.DateTimeField(_("scheduled for"), null=True)
    nominal_for = models.DateTimeField(
        _("moved from"),
        null=True,
        help_text=_("The time that the schedule names, if a closed day moved the fire time."),
    )
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    completed_at = models.DateTimeField(_("completed at"), null=True)
    duration_seconds = models.FloatField(_("duration (seconds)"), null=True)
    execution_type = models.CharField(_("kind of target"), max_length=15)
    target = models.CharField(_("target"), max_length=2048, help_text=_("The URL called, or owner/repo/workflow."))
    response_status = models.PositiveSmallIntegerField(_("HTTP status"), null=True)
    error_message = models.TextField(_("reason"), blank=True)
    output = models.TextField(_("output"), blank=True, help_text=_("The first 1,000 characters of the answer."))
    attempts = models.JSONField(_("attempts"), default=list)
    run_id = models.BigIntegerField(
        _("run"),
        null=True,
        help_text=_("The run elsewhere that is, or was, followed: GitHub's number; 0 for the work of a webhook."),
    )
    run_url = models.CharField(_("run's page"), max_length=500, blank=True, db_default="")
    run_attempt = models.PositiveIntegerField(_("run's attempt"), null=True)
    run_conclusion = models.CharField(_("run's conclusion"), max_length=40, blank=True, db_default="")
    run_seconds = models.FloatField(_("run's seconds"), null=True)
    overrides = models.JSONField(
        _("overrides"), null=True, help_text=_("Overrides of the job's settings for a manual run.")
    )
    worker_id = models.UUIDField(
        _("worker id"), null=True, help_text=_("The worker that delivers it; empty before a worker has claimed it.")
    )
    call_began_at = models.DateTimeField(
        _("call began at"),
        null=True,
        help_text=_(
            "When the call under way began; empty between calls. Only for targets whose call must not be made twice."
        ),
    )
    takeovers = models.PositiveSmallIntegerField(
        _("takeovers"),
        default=0,
        db_default=0,
        help_text=_("The number of times that it was taken over from a dead worker."),
    )

    objects: ClassVar[models.Manager[Execution]] = ExecutionQuerySet.as_manager()

    class Meta:
        verbose_name = _("execution")
        verbose_name_plural = _("executions")
        ordering = ["-started_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["job", "scheduled_for"], name="execution_once_per_fire_time"),
            models.CheckConstraint(name="execution_status_known", condition=Q(status__in=Status.values)),
        ]
        indexes = [
            models.Index(fields=["-started_at", "-id", "status", "duration_seconds"], name="execution_newest"),
            models.Index(fields=["job", "-started_at", "-id"], name="execution_of_job"),
            models.Index(fields=["status", "-started_at", "-id"], name="execution_by_status"),
            models.Index(
                fields=["started_at"],
                name="execution_followed",
                condition=Q(status="running", run_id__isnull=False),
            ),
            models.Index(
                fields=["started_at"],
                name="execution_unclaimed",
                condition=Q(status="running", worker_id__isnull=True, run_id__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} at {self.started_at:%Y-%m-%d %H:%M:%S}"


class Hold(models.Model):
    """A queued execution that a window holds: it starts at `until` at the earliest."""

    execution = models.OneToOneField(
        Execution, on_delete=models.CASCADE, primary_key=True, related_name="hold", verbose_name=_("execution")
    )
    until = models.DateTimeField(_("until"))

    class Meta:
        verbose_name = _("held execution")
        verbose_name_plural = _("held executions")
        indexes = [models.Index(fields=["until"], name="hold_until")]

    def __str__(self) -> str:
        return str(self.execution_id)


class PendingOutcome(models.Model):
    """An ended execution whose notifications are not decided yet. `problem`: why they cannot be decided; such a row is
    set aside until an admin tries it again.
    """

    execution_id = models.UUIDField(_("execution"))
    problem = models.CharField(_("problem"), max_length=500, blank=True, db_default="")

    class Meta:
        verbose_name = _("outcome without notifications")
        verbose_name_plural = _("outcomes without notifications")
        ordering = ["pk"]

    def __str__(self) -> str:
        return str(self.execution_id)
