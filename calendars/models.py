"""Business calendars: which days are open."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from calendars.business_days import BusinessDays
from calendars.day_files import Day


def saturday_and_sunday() -> list[int]:
    return [6, 7]


class Calendar(models.Model):
    """A named set of open and closed days, which jobs share. Every change raises `version`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(_("name"), max_length=100, unique=True)
    slug = models.CharField(
        _("slug"),
        max_length=100,
        unique=True,
        blank=True,
        help_text=_("Made from the name when left empty. a-z, 0-9 and '-'."),
    )
    weekend_days = models.JSONField(
        _("weekend days"),
        default=saturday_and_sunday,
        blank=True,
        help_text=_("The days of the week that are closed: 1 is Monday, 7 is Sunday."),
    )
    country = models.CharField(
        _("national holidays"),
        max_length=2,
        blank=True,
        help_text=_("The country whose national holidays are closed (ISO 3166-1), such as JP. Empty: none."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        help_text=_(
            "In which its days begin, for files that name times (IANA, such as Asia/Tokyo). Empty: the installation's. "
            "Jobs read the days in their own zone."
        ),
    )
    version = models.PositiveIntegerField(_("version"), default=1, editable=False)
    holidays_seen = models.JSONField(
        _("holidays seen"), default=list, editable=False,
        help_text=_("The national holidays for which the next fire times were computed."),
    )  # fmt: skip
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("business calendar")
        verbose_name_plural = _("business calendars")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="calendar_has_name"),
            models.CheckConstraint(condition=Q(slug__regex=r"^[a-z0-9]+(-[a-z0-9]+)*$"), name="calendar_slug_valid"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which its days begin."""
        return ZoneInfo(self.time_zone) if self.time_zone else settings.SCHEDULER_ZONE

    def business_days(self, days: Iterable[CalendarDay | Day] | None = None) -> BusinessDays:
        """The calendar's days; `days` in place of the stored ones, such as to show what a change would do."""
        listed = list(self.days.all() if days is None else days)
        # With the time of the change, because a version that was rolled back is given again.
        stored = f"{self.pk}:{self.version}:{self.updated_at.isoformat()}" if days is None else ""
        return _business_days(stored or f"preview:{uuid.uuid4()}", self.name, self, listed)


class CalendarDay(models.Model):
    """A day that is open or closed in a calendar, whatever its weekday and the national holidays say."""

    calendar: Any = models.ForeignKey(
        Calendar, on_delete=models.CASCADE, related_name="days", verbose_name=_("calendar")
    )
    date = models.DateField(_("date"))
    is_open = models.BooleanField(_("open"), default=False)
    label = models.CharField(_("label"), max_length=100, blank=True)

    class Meta:
        verbose_name = _("day")
        verbose_name_plural = _("days")
        ordering = ["date"]
        constraints = [models.UniqueConstraint(fields=["calendar", "date"], name="one_entry_a_day")]

    def __str__(self) -> str:
        return f"{self.date} {self.label}".strip()


class CalendarVersion(models.Model):
    """What a calendar was from `began_at` until its next entry, for questions about the past. `days`: date, whether
    it is open, and label of each listed day.
    """

    calendar: Any = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField(_("version"))
    began_at = models.DateTimeField(_("since"), default=timezone.now)
    weekend_days = models.JSONField(_("weekend days"))
    country = models.CharField(_("national holidays"), max_length=2, blank=True)
    days = models.JSONField(_("days"), default=list)

    class Meta:
        verbose_name = _("version of a calendar")
        verbose_name_plural = _("versions of calendars")
        ordering = ["began_at", "version"]
        constraints = [models.UniqueConstraint(fields=["calendar", "version"], name="calendar_version_once")]

    def __str__(self) -> str:
        return f"version {self.version}"

    @classmethod
    def keep(cls, calendar: Calendar) -> None:
        """Store what a calendar is now, after its version was raised, unless its days are those of before."""
        days = [[day.date.isoformat(), day.is_open, day.label] for day in calendar.days.all()]
        values = {"weekend_days": calendar.weekend_days, "country": calendar.country, "days": days}
        last = cls.objects.filter(calendar=calendar).last()
        if last is None or {name: getattr(last, name) for name in values} != values:
            cls.objects.create(calendar=calendar, version=calendar.version, **values)

    def business_days(self) -> BusinessDays:
        """The days of this version."""
        listed = [Day(dt.date.fromisoformat(date), is_open, label) for date, is_open, label in self.days]
        key = f"{self.calendar_id}:{self.version}:{self.began_at.isoformat()}:kept"
        return _business_days(key, self.calendar.name, self, listed)


def _business_days(
    key: str, name: str, values: Calendar | CalendarVersion, listed: Sequence[CalendarDay | Day]
) -> BusinessDays:
    return BusinessDays(
        key=key,
        name=name,
        weekend=frozenset(values.weekend_days),
        country=values.country,
        open=frozenset(day.date for day in listed if day.is_open),
        closed={day.date: day.label for day in listed if not day.is_open},
    )


def days_in_force(calendar_id: UUID, at: dt.datetime) -> BusinessDays | None:
    """The days of a calendar at a time of the past: by the version of then, or the first one. None for a calendar that
    is gone.
    """
    versions = CalendarVersion.objects.filter(calendar=calendar_id).select_related("calendar")
    found = versions.filter(began_at__lte=at).last() or versions.first()
    return found.business_days() if found else None


class _AnotherVersion(Exception):
    def __init__(self, days: BusinessDays) -> None:
        self.days = days


def business_days(calendar_id: UUID, version: int) -> BusinessDays:
    """The days of a version of a calendar, read once in each process."""
    try:
        return _of_version(calendar_id, version)
    except _AnotherVersion as newer:
        return newer.days


@lru_cache(maxsize=500)
def _of_version(calendar_id: UUID, version: int) -> BusinessDays:
    calendar = Calendar.objects.prefetch_related("days").get(pk=calendar_id)
    days = calendar.business_days()
    if calendar.version != version:
        # Not kept: an exception is no result.
        raise _AnotherVersion(days)
    return days
