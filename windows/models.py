"""Windows: periods in which jobs do not fire, fire later, or alert later. A pause is a window."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.sentences import said
from jobs.models import Job
from jobs.schedules.schedule import CronError, schedule_of
from taxonomy.models import Category, PicTeam


class Effect(models.TextChoices):
    """What happens to fire times inside a window."""

    SKIP = "skip", _("Skip: they do not run")
    HOLD = "hold", _("Hold: the latest one runs when the window ends")
    MUTE = "mute", _("Mute: they run, and their alerts are sent as one when the window ends")


class WindowQuerySet(models.QuerySet["Window"]):
    """Queries on windows."""

    def running(self, at: dt.datetime) -> Self:
        """Windows that have begun and not ended; a recurring one may be between two of its periods."""
        return self.filter(starts_at__lte=at).filter(Q(ends_at=None) | Q(ends_at__gt=at))

    def not_over(self, at: dt.datetime) -> Self:
        """Windows that have not ended: those to come, too."""
        return self.filter(Q(ends_at=None) | Q(ends_at__gt=at))


class Window(models.Model):
    """A period with an effect on the fire times or the alerts of some jobs. An instant t is inside if
    `starts_at` <= t < `ends_at` and, with a cron expression, within `minutes` after one of its times, which are those
    of each job's own zone.

    It covers every job (`is_for_all`), or those of any of its teams, categories, repositories ("owner/repository"),
    target hosts and jobs.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    effect = models.CharField(_("effect"), max_length=4, choices=Effect.choices, default=Effect.SKIP)
    starts_at = models.DateTimeField(_("from"), default=timezone.now)
    ends_at = models.DateTimeField(
        _("until"), null=True, blank=True, help_text=_("Empty: until somebody ends it. All jobs: at most 14 days.")
    )
    cron_expression = models.CharField(
        _("recurring at"),
        max_length=255,
        blank=True,
        help_text=_(
            "A cron expression, read in each job's own time zone: open for some minutes after each of its times. "
            "Empty: all the time."
        ),
    )
    minutes = models.PositiveIntegerField(
        _("for (minutes)"), default=0, help_text=_("How long a recurring window is open each time. 1 to 10080.")
    )
    is_for_all = models.BooleanField(_("all jobs"), default=False)
    teams = models.ManyToManyField(PicTeam, blank=True, related_name="windows", verbose_name=_("teams"))
    categories = models.ManyToManyField(Category, blank=True, related_name="windows", verbose_name=_("categories"))
    jobs = models.ManyToManyField(Job, blank=True, related_name="windows", verbose_name=_("jobs"))
    repositories = models.JSONField(_("repositories"), default=list, blank=True)
    hosts = models.JSONField(_("target hosts"), default=list, blank=True)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("by"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = WindowQuerySet.as_manager()

    class Meta:
        verbose_name = _("window")
        verbose_name_plural = _("windows")
        ordering = ["-starts_at", "name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="window_has_name"),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("starts_at")), name="window_ends_after_its_start"
            ),
            models.CheckConstraint(condition=Q(effect__in=Effect.values), name="window_effect_known"),
            models.CheckConstraint(
                condition=Q(is_for_all=False) | Q(ends_at__isnull=False), name="window_over_all_has_an_end"
            ),
            models.CheckConstraint(
                condition=Q(cron_expression="", minutes=0) | ~Q(cron_expression="") & Q(minutes__range=(1, 10_080)),
                name="window_recurs_for_minutes",
            ),
        ]
        indexes = [models.Index(fields=["ends_at"], name="window_end")]

    def __str__(self) -> str:
        return self.name

    @property
    def title(self) -> str:
        """Its name; those that the product gives are in the active language."""
        return said(self.name)

    def is_pause_of(self, job: Job) -> bool:
        """Whether it covers this job only, once."""
        others = self.is_for_all or self.repositories or self.hosts or self.cron_expression
        return not (others or self.teams.all() or self.categories.all()) and [one.pk for one in self.jobs.all()] == [
            job.pk
        ]

    @property
    def stops_all(self) -> bool:
        """Whether it keeps every job from firing while it is open."""
        return self.is_for_all and self.effect != Effect.MUTE

    def periods(
        self, start: dt.datetime, end: dt.datetime, zone: ZoneInfo | None = None
    ) -> list[tuple[dt.datetime, dt.datetime]]:
        """The parts of [start, end) in which it is open for jobs of a zone (the scheduler's by default), in order."""
        first, last = max(start, self.starts_at), min(end, self.ends_at or end)
        if first >= last:
            return []
        if not self.cron_expression:
            return [(first, last)]
        length = dt.timedelta(minutes=self.minutes)
        try:
            begins = schedule_of(self.cron_expression, zone).between(first - length, last)
            return [(max(one, first), min(one + length, last)) for one in begins if one < last]
        except CronError:
            return []

    def period_at(
        self, moment: dt.datetime, zone: ZoneInfo | None = None
    ) -> tuple[dt.datetime, dt.datetime | None] | None:
        """The period around an instant (aware) for jobs of a zone (the scheduler's by default), with its end (None:
        open-ended); None if the instant is outside.
        """
        if moment < self.starts_at or (self.ends_at is not None and moment >= self.ends_at):
            return None
        if not self.cron_expression:
            return self.starts_at, self.ends_at
        try:
            began = schedule_of(self.cron_expression, zone).previous(moment + dt.timedelta(microseconds=1))
        except CronError:
            return None
        end = began + dt.timedelta(minutes=self.minutes)
        return (began, min(end, self.ends_at) if self.ends_at else end) if moment < end else None
