"""Executions: one row for each fire time or manual run of a job; the workers that deliver them; shared limits; and
rollups.
"""

from __future__ import annotations

import uuid
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import JSONField, Q, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from core.db.encryption import EncryptedTextField
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
        deleted = list(Job.with_deleted.filter(deleted_at__isnull=False).values_list("pk", flat=True))
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


def _part_of_execution(related_name: str) -> models.OneToOneField[Execution, Execution]:
    """The key of a table beside that of executions. There is no foreign key of the database, which would lock the
    execution at each insert: the code that deletes executions deletes the parts with them (`executions.retention`).
    """
    return models.OneToOneField(
        Execution,
        on_delete=models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name=related_name,
        verbose_name=_("execution"),
    )


class Exchange(models.Model):
    """The last call of an execution: the request as it was sent, and the answer, as `executions.exchanges` writes them.

    It is a table of its own, so that lists and inserts of executions stay as small as they are.
    """

    execution = _part_of_execution("exchange")
    content = models.TextField(_("content"))

    class Meta:
        verbose_name = _("request and answer")
        verbose_name_plural = _("requests and answers")

    def __str__(self) -> str:
        return str(self.execution_id)


class Report(models.Model):
    """What is known of work elsewhere: what the receiver of a webhook told last, or what failed in a workflow run.
    `counts` are numbers by name, such as of tests passed and failed. `failures`: the failed jobs of a run, as
    `executions.targets.github.failures` reads them.
    """

    class State(models.TextChoices):
        PROGRESS = "progress", _("Progress")
        SUCCESS = "success", _("Success")
        FAILED = "failed", _("Failed")

    execution = _part_of_execution("report")
    status = models.CharField(_("status"), max_length=10, choices=State.choices)
    told_at = models.DateTimeField(_("told at"))
    message = models.CharField(_("message"), max_length=1000, blank=True)
    counts = models.JSONField(_("counts"), default=dict, blank=True)
    url = models.CharField(_("link"), max_length=2048, blank=True)
    failures = models.JSONField(_("failures"), default=list, blank=True, db_default=Value([], JSONField()))

    class Meta:
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=["progress", "success", "failed"]), name="report_status_known"
            )
        ]

    def __str__(self) -> str:
        return f"{self.status} of {self.execution_id}"


class Poll(models.Model):
    """The status address that is asked how the work of an execution goes on: next at `next_at`, and then after
    `wait_seconds` unless it asks for another time. It goes when the execution has ended.
    """

    execution = _part_of_execution("poll")
    # It may hold what the request's secrets are.
    url = EncryptedTextField(_("status address"))
    next_at = models.DateTimeField(_("next at"))
    wait_seconds = models.FloatField(_("wait (seconds)"))
    problem = models.CharField(_("problem"), max_length=300, blank=True, db_default="")

    class Meta:
        verbose_name = _("poll")
        verbose_name_plural = _("polls")
        indexes = [models.Index(fields=["next_at"], name="poll_next")]

    def __str__(self) -> str:
        return str(self.execution_id)


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


# Runs of a batch that are open at a time.
MOST_AT_ONCE = 50


class Batch(models.Model):
    """Runs that a user asked for, started by the leader (`executions.batches`): executions that run again, fire times
    that are made up for, or a single run at a time to come. At most `at_once` of them are open at a time.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    title = models.CharField(_("title"), max_length=200)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True)
    paused_at = models.DateTimeField(_("paused at"), null=True)
    at_once = models.PositiveSmallIntegerField(_("at once"), default=MOST_AT_ONCE, db_default=MOST_AT_ONCE)

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=Q(at_once__range=(1, MOST_AT_ONCE)), name="batch_runs_some_at_once")
        ]

    def __str__(self) -> str:
        return self.title


class BatchRunQuerySet(models.QuerySet["BatchRun"]):
    """Queries on the runs of batches."""

    def waiting(self) -> Self:
        """Runs that are still to start."""
        return self.filter(execution_id=None, problem="", batch__cancelled_at=None)

    def startable(self) -> Self:
        """Runs that are still to start, of batches that are not paused."""
        return self.waiting().filter(batch__paused_at=None)

    def of_several(self) -> Self:
        """Runs that are no single runs."""
        return self.exclude(original_id=None, fire_time=None)

    def single(self) -> Self:
        """Single runs."""
        return self.filter(original_id=None, fire_time=None)


class BatchRun(models.Model):
    """One run of a batch: of which job, in place of which execution, for which fire time, with which overrides, when it
    is due, and the execution once it has started. The ids may outlive their rows. `problem`: why it could not be
    started. `look_again_at`: when a run that a window holds is looked at again. Without an execution to replace
    and without a fire time it is a single run.
    """

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="runs", verbose_name=_("batch"))
    job_id = models.UUIDField(_("job"))
    original_id = models.UUIDField(_("in place of"), null=True)
    fire_time = models.DateTimeField(_("makes up for"), null=True)
    overrides = models.JSONField(_("overrides"), null=True)
    due_at = models.DateTimeField(_("due at"))
    look_again_at = models.DateTimeField(_("look again at"), null=True)
    execution_id = models.UUIDField(_("execution"), null=True)
    problem = models.CharField(_("problem"), max_length=300, blank=True)

    objects = BatchRunQuerySet.as_manager()

    class Meta:
        verbose_name = _("run of a batch")
        verbose_name_plural = _("runs of batches")
        ordering = ["due_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["execution_id"], name="batch_run_of_execution")]
        indexes = [
            models.Index(
                fields=["due_at"], name="batch_run_waiting", condition=Q(execution_id__isnull=True, problem="")
            ),
            models.Index(fields=["job_id", "due_at"], name="batch_run_of_job"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} in {self.batch_id}"

    @property
    def is_single(self) -> bool:
        return self.original_id is None and self.fire_time is None


class Worker(models.Model):
    """A process with a delivery engine. Its heartbeat shows that its executions are still being delivered."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("pid"))
    namespace = models.CharField(
        _("PID namespace"),
        max_length=80,
        blank=True,
        db_default="",
        help_text=_("Boot and PID namespace; only processes in the same one can look for each other's pid."),
    )
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    heartbeat_at = models.DateTimeField(_("heartbeat at"), default=timezone.now)
    memory_bytes = models.BigIntegerField(_("memory (bytes)"), null=True)
    phases = models.JSONField(
        _("executions by phase"),
        default=dict,
        db_default=Value({}, JSONField()),
        help_text=_("How many executions it calls now, and how many wait for jitter, a concurrency limit or a retry."),
    )

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["-heartbeat_at"]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class SharedLimit(models.Model):
    """A concurrency limit of a host or a team that workers share. Its row is locked while allocations change."""

    name = models.CharField(_("name"), max_length=300, primary_key=True)

    class Meta:
        verbose_name = _("shared limit")
        verbose_name_plural = _("shared limits")

    def __str__(self) -> str:
        return self.name


class LimitAllocation(models.Model):
    """The number of concurrent calls that one worker may make under a shared limit, and the number that it demands."""

    limit = models.ForeignKey(
        SharedLimit, on_delete=models.CASCADE, related_name="allocations", verbose_name=_("limit")
    )
    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="+", verbose_name=_("worker"))
    count = models.PositiveIntegerField(_("count"), default=0)
    wanted = models.PositiveIntegerField(_("wanted"), default=0)

    class Meta:
        verbose_name = _("slots of a limit")
        verbose_name_plural = _("slots of limits")
        constraints = [models.UniqueConstraint(fields=["limit", "worker"], name="slots_once")]

    def __str__(self) -> str:
        return f"{self.count} of {self.limit_id}"


class HourlyCounts(models.Model):
    """Executions that began in one hour (UTC): how many ended with each status, and their total seconds. See
    `executions.statistics.rollups`.
    """

    hour = models.DateTimeField(_("hour"))
    kind = models.CharField(_("kind of target"), max_length=15)
    success = models.IntegerField(_("success"), default=0)
    failed = models.IntegerField(_("failed"), default=0)
    cancelled = models.IntegerField(_("cancelled"), default=0)
    skipped = models.IntegerField(_("skipped"), default=0)
    missed = models.IntegerField(_("missed"), default=0)
    seconds = models.FloatField(_("seconds"), default=0)
    success_seconds = models.FloatField(_("seconds of successes"), default=0)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}: {self.success} well, {self.failed} failed"


class Rollup(HourlyCounts):
    """The hourly counts of one job. `longest`: seconds of its longest success."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+", db_index=False, verbose_name=_("job"))
    longest = models.FloatField(_("longest"), default=0)

    class Meta:
        verbose_name = _("hour of a job")
        verbose_name_plural = _("hours of jobs")
        constraints = [models.UniqueConstraint(fields=["job", "hour", "kind"], name="rollup_once")]
        indexes = [
            models.Index(fields=["hour", "longest"], name="rollup_longest"),
            models.Index(fields=["hour"], name="rollup_failed", condition=Q(failed__gt=0)),
        ]


class Total(HourlyCounts):
    """The hourly counts of all jobs. Each hour has up to eight rows (`shard` 0 to 7), so that concurrent workers
    rarely wait for a lock.
    """

    shard = models.PositiveSmallIntegerField(_("shard"))

    class Meta:
        verbose_name = _("hour of all jobs")
        verbose_name_plural = _("hours of all jobs")
        constraints = [models.UniqueConstraint(fields=["hour", "kind", "shard"], name="total_once")]


class FireLagBucket(models.Model):
    """The number of scheduled executions whose fire lag was at most `bound` seconds and above the next lower bound."""

    hour = models.DateTimeField(_("hour"))
    bound = models.FloatField(_("bound"))
    shard = models.PositiveSmallIntegerField(_("shard"))
    count = models.IntegerField(_("count"), default=0)
    seconds = models.FloatField(_("seconds"), default=0)

    class Meta:
        verbose_name = _("fire lag")
        verbose_name_plural = _("fire lag")
        constraints = [models.UniqueConstraint(fields=["hour", "bound", "shard"], name="lateness_once")]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}: {self.count} within {self.bound} s"


class HistoryVersion(models.Model):
    """One row: how often executions of past days were deleted or added. See `executions.statistics.total_count`."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    changes = models.BigIntegerField(_("changes"), default=1)

    class Meta:
        verbose_name = _("past")
        verbose_name_plural = _("past")
        constraints = [models.CheckConstraint(name="past_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return str(self.changes)
