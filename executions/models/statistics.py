"""Rollups: hourly counts, from which every statistic is computed."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from jobs.models import Job


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
