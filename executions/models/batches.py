"""Batches: runs that a user asked for."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

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
