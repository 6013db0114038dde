"""Forecast of fire times. It groups jobs by expression, because ten thousand jobs share a few hundred schedules."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Count, QuerySet
from django.utils import timezone

from console import kept
from jobs.models import Job, schedule_columns, schedule_from
from jobs.schedules.schedule import CronError, Schedule

# Jobs with at least this many fire times a day are shown as one band.
FREQUENT = 96


class Group(NamedTuple):
    """Jobs with the same schedule and the same first and last day."""

    lane: Any
    schedule: Schedule
    start: dt.date | None
    end: dt.date
    jobs: int

    @property
    def is_frequent(self) -> bool:
        return len(self.schedule.tab.minutes) >= FREQUENT

    def minutes_of(self, day: dt.date) -> list[int]:
        """The minutes of a day at which they fire."""
        return _minutes_of(self.schedule, day) if self.covers(day) else []

    def covers(self, day: dt.date) -> bool:
        """Whether a day is between their first and last day."""
        return day <= self.end and (self.start is None or day >= self.start)


def groups(jobs: QuerySet[Job], lane: str) -> list[Group]:
    """The active jobs of a queryset, grouped by schedule, period and the column `lane`; invalid schedules are left
    out.
    """
    columns = (lane, "start_date", "end_date", *schedule_columns())
    rows = jobs.filter(is_active=True).order_by().values_list(*columns).annotate(Count("id"))
    return kept.until_edited(str(rows.query), lambda: list(_read(rows)))


def _read(rows: Any) -> Iterator[Group]:
    for lane, start, end, *values, count in rows:
        try:
            yield Group(lane, schedule_from(*values), start, end, count)
        except CronError:
            continue


def _minutes_of(schedule: Schedule, day: dt.date) -> list[int]:
    """The minutes of a day on the scheduler's clock at which a schedule fires, whatever its own zone."""
    zone = settings.SCHEDULER_ZONE
    if schedule.zone == zone:
        return schedule.minutes_of(day)
    begin = dt.datetime.combine(day, dt.time(), zone).astimezone(dt.UTC)
    end = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), zone).astimezone(dt.UTC)
    tick = dt.timedelta(microseconds=1)
    local = (moment.astimezone(zone) for moment in schedule.between(begin - tick, end - tick))
    return [moment.hour * 60 + moment.minute for moment in local]


def next_minutes(found: list[Group], count: int) -> list[tuple[dt.datetime, int]]:
    """The number of jobs that fire in each of the coming minutes."""
    now = timezone.now().astimezone(settings.SCHEDULER_ZONE)
    first = now.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
    moments = [first + dt.timedelta(minutes=number) for number in range(count)]
    fires: Counter[tuple[dt.date, int]] = Counter()
    days = {moment.date() for moment in moments}
    for group in found:
        for day in days:
            for minute in group.minutes_of(day):
                fires[day, minute] += group.jobs
    return [(moment, fires[moment.date(), moment.hour * 60 + moment.minute]) for moment in moments]


def together(jobs: QuerySet[Job], moments: list[dt.datetime]) -> list[int]:
    """The number of active jobs that fire at each of these times."""
    counts = [0] * len(moments)
    for group in groups(jobs, "is_active"):
        tab, zone = group.schedule.tab, group.schedule.zone
        for index, moment in enumerate(moments):
            local = moment.astimezone(zone)
            if (
                local.minute in tab.minute.values
                and local.hour in tab.hour.values
                and group.covers(local.date())
                and group.schedule.fires_on(local.date())
            ):
                counts[index] += group.jobs
    return counts
