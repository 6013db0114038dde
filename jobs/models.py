"""Jobs, used links, and the revision counter that tells other processes that jobs changed."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cache, lru_cache
from typing import Any, ClassVar, Self
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.base import ModelState
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from calendars.business_days import BusinessDays
from calendars.models import business_days
from jobs.field_traits import choice_constraints, names, range_constraints
from jobs.schedules.crontab import MANUALLY
from jobs.schedules.schedule import ClosedDayRule, CronError, EveryNth, Schedule, schedule_of
from jobs.targets import kinds
from jobs.targets.kinds import Target
from jobs.workflow_fields import WorkflowSettings
from settings_app.models import Secret

# A job whose end date is at most this far away ends soon.
ENDING_SOON = dt.timedelta(days=30)


@cache
def schedule_columns() -> tuple[str, ...]:
    """The columns from which `schedule_from` makes a schedule. Jobs with the same values fire together."""
    found = list(names(having="times"))
    found.insert(found.index("calendar") + 1, "calendar__version")
    return tuple(found)


@cache
def _attributes() -> tuple[str, ...]:
    """The attributes of a job for the values of `schedule_columns`."""
    names = {"calendar": "calendar_id", "calendar__version": "calendar_version"}
    return tuple(names.get(name, name) for name in schedule_columns())


def today(zone: ZoneInfo | None = None) -> dt.date:
    """The current day in a zone, by default in the scheduler's."""
    return timezone.now().astimezone(zone or settings.SCHEDULER_ZONE).date()


def schedule_of_days(job: Job, days: BusinessDays) -> Schedule:
    """A job's schedule with other days for its calendar. Raises `CronError` with the reason."""
    rule = ClosedDayRule(job.on_closed_day, job.shift_limit_days, job.keep_month, job.shift_open_days)
    return schedule_of(job.cron_expression, job.zone, days, rule, EveryNth(job.every_nth, job.counted_from))


@lru_cache(maxsize=1_000)
def zone_named(name: str) -> ZoneInfo:
    """A time zone (IANA); '' is the scheduler's. Raises `CronError` for an unknown one."""
    try:
        return ZoneInfo(name) if name else settings.SCHEDULER_ZONE
    except (KeyError, ValueError, OSError) as exc:
        raise CronError(f"The time zone '{name[:60]}' is unknown: write such as Asia/Tokyo or Europe/Berlin.") from exc


def schedule_from(
    expression: str,
    time_zone: str = "",
    calendar: uuid.UUID | None = None,
    version: int | None = None,
    on_closed_day: str = "run",
    limit_days: int = 10,
    keep_month: bool = False,
    open_days: int = 0,
    every_nth: int = 1,
    counted_from: dt.date | None = None,
) -> Schedule:
    """The schedule of the values of `schedule_columns`. Raises `CronError` with the reason."""
    zone, nth = zone_named(time_zone), EveryNth(every_nth, counted_from)
    if calendar is None:
        return schedule_of(expression, zone, nth=nth)
    rule = ClosedDayRule(on_closed_day, limit_days, keep_month, open_days)
    return schedule_of(expression, zone, business_days(calendar, version or 0), rule, nth)


class JobQuerySet(models.QuerySet["Job"]):
    """Queries on jobs."""

    def active(self) -> Self:
        return self.filter(is_active=True)

    def on_schedule(self) -> Self:
        """Active jobs with fire times of their own."""
        return self.active().exclude(cron_expression=MANUALLY)

    def due(self, at: dt.datetime) -> Self:
        """Active jobs whose next fire time is at or before `at`, oldest first."""
        return self.active().filter(next_run_at__lte=at).order_by("next_run_at", "id")

    def bare(self, *columns: str) -> list[Job]:
        """The jobs with these columns and annotations only, as with `only`, without what Django does for each instance:
        signals, a default for each field. That is most of the time of a query of thousands of jobs.
        """
        fields = {field.name: field.attname for field in self.model._meta.concrete_fields}
        attributes = ["id", *(fields.get(name, name) for name in columns)]
        found, database = [], self.db
        for values in self.values_list("pk", *columns):
            job = Job.__new__(Job)
            job.__dict__.update(zip(attributes, values, strict=True))
            job._state = ModelState()
            job._state.adding, job._state.db = False, database
            found.append(job)
        return found

    def ending_soon(self) -> Self:
        """Active jobs whose end date is within `ENDING_SOON` from the current day in their zone."""
        return self.active().filter(self.by_day(lambda day: Q(end_date__range=(day, day + ENDING_SOON))))

    def expired(self) -> Self:
        """Jobs whose end date has passed in their zone."""
        return self.filter(self.by_day(lambda day: Q(end_date__lt=day)))

    def deleted(self) -> Self:
        """Deleted jobs whose history is still being deleted, in no order: in the order of creation SQLite would read
        every job in place of their index.
        """
        return self.filter(deleted_at__isnull=False).order_by()

    def by_day(self, condition: Callable[[dt.date], Q]) -> Q:
        """A condition on the current day in the zone of each job."""
        found = Q(time_zone="") & condition(today())
        # By an index alone, so that no job is read; deleted jobs add a zone at most.
        zones = set(Job.with_deleted.order_by().values_list("time_zone", flat=True).distinct())
        for name in zones - {""}:
            with suppress(CronError):
                found |= Q(time_zone=name) & condition(today(zone_named(name)))
        return found


_Manager = models.Manager.from_queryset(JobQuerySet)


class JobManager(_Manager["Job"]):
    """Every job but those that were deleted and whose history is still being deleted."""

    def get_queryset(self) -> JobQuerySet:
        return JobQuerySet(self.model, using=self._db).filter(deleted_at=None)


_NO_WORKFLOW = Q(github_owner="", github_repo="", github_workflow_name="")
_WHOLE_WORKFLOW = ~Q(github_owner="") & ~Q(github_repo="") & ~Q(github_workflow_name="")
# Kinds without columns of their own store their fields in `target_options`.
_ONE_TARGET = (
    Q(target_kind="webhook") & ~Q(target_url="") & _NO_WORKFLOW
    | Q(target_kind="github_actions") & Q(target_url="") & _WHOLE_WORKFLOW
    | ~Q(target_kind__in=["webhook", "github_actions"]) & Q(target_url="") & _NO_WORKFLOW
)


class Job(WorkflowSettings):
    """A unit of work that fires on a schedule until its end date.

    `WorkflowSettings` holds what users set; Cronsched writes the fields declared here. Times are UTC.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="jobs",
        verbose_name=_("created by"),
    )
    next_run_at = models.DateTimeField(
        _("next run"),
        null=True,
        editable=False,
        help_text=_("The first fire time that has not been fired; none when inactive or ended."),
    )
    last_execution_at = models.DateTimeField(_("last run"), null=True, editable=False)
    last_status = models.CharField(_("last outcome"), max_length=10, blank=True, editable=False)
    problem = models.CharField(
        _("problem"),
        max_length=500,
        blank=True,
        editable=False,
        help_text=_("Why the scheduler cannot fire the job; empty if it can."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    skipped_run_at = models.DateTimeField(
        _("skipped run"),
        null=True,
        editable=False,
        help_text=_("The fire time that somebody asked to skip; over once it has passed."),
    )
    deleted_at = models.DateTimeField(
        _("deleted at"),
        null=True,
        editable=False,
        help_text=_("When it was deleted; the row stays until its history is deleted in small steps."),
    )

    objects = JobManager()
    with_deleted: ClassVar[models.Manager[Job]] = JobQuerySet.as_manager()

    class Meta:
        base_manager_name = "with_deleted"
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering = ["-created_at", "id"]
        constraints = [
            models.CheckConstraint(name="job_has_exactly_one_target", condition=_ONE_TARGET),
            models.CheckConstraint(name="job_has_name", condition=~Q(name="")),
            *choice_constraints(WorkflowSettings),
            *range_constraints(WorkflowSettings),
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
            models.Index(fields=["time_zone"], name="job_zones"),
            models.Index(fields=["deleted_at"], name="job_deleted", condition=Q(deleted_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def schedule(self) -> Schedule:
        """The job's schedule; raises `CronError` if the stored expression is no longer valid."""
        return schedule_from(*self.schedule_values)

    @property
    def schedule_values(self) -> tuple[Any, ...]:
        """The values of `schedule_columns`."""
        values = [getattr(self, name, None) for name in _attributes()]
        values[_attributes().index("calendar_version")] = self._calendar_version
        return tuple(values)

    @property
    def _calendar_version(self) -> int | None:
        if self.calendar_id is None:
            return None
        # A query may have annotated it, which costs less than the whole calendar.
        return self.__dict__.get("calendar_version") or (self.calendar.version if self.calendar else None)

    @property
    def business_days(self) -> BusinessDays | None:
        """The days of the job's calendar; None without one."""
        return None if self.calendar_id is None else business_days(self.calendar_id, self._calendar_version or 0)

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which schedule, start and end date are read. Raises `CronError` for an unknown one."""
        return zone_named(self.time_zone)

    @property
    def shown_zone(self) -> ZoneInfo:
        """The zone for pages about the job: the scheduler's if its own is unknown."""
        try:
            return self.zone
        except CronError:
            return settings.SCHEDULER_ZONE

    @property
    def target(self) -> Target:
        """The job's target. Raises `ValueError` if its kind is not installed."""
        return kinds.kind_named(self.target_kind).of_job(self)

    @property
    def has_ended(self) -> bool:
        """Whether the end date has passed."""
        return self.end_date < today(self.zone)

    def next_fire(self, after: dt.datetime) -> dt.datetime | None:
        """The first fire time strictly after `after`; None if the job is inactive or has ended by then."""
        return self.fire_after(after) if self.is_active else None

    def fire_after(self, after: dt.datetime, schedule: Schedule | None = None) -> dt.datetime | None:
        """The first fire time strictly after `after` while the job is active, by its schedule or another one; None if
        it has ended by then.
        """
        return first_fire(schedule or self.schedule, after, self.start_date, self.end_date)

    def runs_at(self, fire_time: dt.datetime) -> bool:
        """Whether a fire time of its schedule is within its first and last day, and nobody skips it."""
        return self.is_in_period(fire_time) and fire_time != self.skipped_run_at

    def is_in_period(self, moment: dt.datetime) -> bool:
        """Whether an instant is within its first and last day."""
        day = moment.astimezone(self.zone).date()
        return day <= self.end_date and (self.start_date is None or day >= self.start_date)

    @property
    def jitter(self) -> int:
        """Seconds between the fire time and the job's calls: a fixed fraction of `jitter_seconds`, derived from the
        job's id.
        """
        return self.pk.int % (self.jitter_seconds + 1) if self.jitter_seconds else 0


def first_fire(
    schedule: Schedule, after: dt.datetime, start_date: dt.date | None, end_date: dt.date
) -> dt.datetime | None:
    """The first fire time of a schedule strictly after `after`, within a first and a last day of its zone; None if
    there is none. Raises `CronError`.
    """
    if schedule.tab.is_manual:
        return None
    return fire_within(schedule.next(not_before(after, start_date, schedule.zone)), end_date, schedule.zone)


def not_before(moment: dt.datetime, start_date: dt.date | None, zone: ZoneInfo) -> dt.datetime:
    """`moment`, or the last instant before `start_date` in a zone if that is later."""
    if start_date is None:
        return moment
    begin = dt.datetime.combine(start_date, dt.time(), zone)
    return max(moment, begin - dt.timedelta(microseconds=1))


def fire_within(moment: dt.datetime, end_date: dt.date, zone: ZoneInfo) -> dt.datetime | None:
    """`moment`, or None if its day in a zone is after `end_date`."""
    return moment if moment.astimezone(zone).date() <= end_date else None


class SecretUse(models.Model):
    """A secret that a job's request names; it cannot be deleted meanwhile."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="secret_uses", verbose_name=_("job"))
    secret = models.ForeignKey(Secret, on_delete=models.PROTECT, related_name="uses", verbose_name=_("secret"))

    class Meta:
        verbose_name = _("use of a secret")
        verbose_name_plural = _("uses of secrets")
        constraints = [models.UniqueConstraint(fields=["job", "secret"], name="secret_use_once")]

    def __str__(self) -> str:
        return self.job.name


class SpentLink(models.Model):
    """A signed link that was used. Each link works once, even if the job changes later."""

    token_digest = models.CharField(_("token's digest"), max_length=64, primary_key=True)
    spent_at = models.DateTimeField(_("spent at"), default=timezone.now)

    class Meta:
        verbose_name = _("used link")
        verbose_name_plural = _("used links")

    def __str__(self) -> str:
        return self.token_digest


class Revision(models.Model):
    """The revision counter, one row: every change of the job list increments `number`, every change by a user also
    `edits`. See docs/decisions/revision-counter.md.
    """

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
        """The current `number` and `edits`."""
        return cls.objects.values_list("number", "edits").filter(pk=1).first() or (0, 0)

    @classmethod
    def bump(cls, *, edited: bool = False) -> None:
        """Increment `number`, and `edits` for changes by users. Call it in the transaction of the change."""
        edits = int(edited)
        if not cls.objects.filter(pk=1).update(number=F("number") + 1, edits=F("edits") + edits):
            cls.objects.get_or_create(pk=1, defaults={"number": 1, "edits": edits})
