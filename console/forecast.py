"""Forecast of fire times. It groups jobs by expression, because ten thousand jobs share a few hundred schedules."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from console import kept
from jobs.models import Job, schedule_columns, schedule_from
from jobs.schedules.schedule import CronError, Schedule
from windows.cover import Cover, may_cover, stopping_windows
from windows.models import Window

# Jobs with at least this many fire times a day are shown as one band.
FREQUENT = 96
_DAY = dt.timedelta(days=1)
_MINUTE = dt.timedelta(minutes=1)


class Group(NamedTuple):
    """Jobs with the same schedule, the same first and last day, the same windows that keep them from firing, and the
    same fire time that is to be skipped.
    """

    lane: Any
    schedule: Schedule
    start: dt.date | None
    end: dt.date
    jobs: int
    windows: tuple[Window, ...] = ()
    skipped: dt.datetime | None = None

    @property
    def is_frequent(self) -> bool:
        return len(self.schedule.tab.minutes) >= FREQUENT

    def minutes_of(self, day: dt.date) -> list[int]:
        """The minutes of a day on the scheduler's clock at which they run."""
        begin, end = bounds(day)
        closed = [period for window in self.windows for period in window.periods(begin, end, self.schedule.zone)]
        is_plain = self.schedule.zone == settings.SCHEDULER_ZONE and not (self.skipped and begin <= self.skipped < end)
        if is_plain and (not closed or end - begin == _DAY):
            found = self.schedule.minutes_of(day) if self.covers(day) else []
            return _without(found, [(first - begin, last - begin) for first, last in closed]) if closed else found
        return [
            minute
            for minute, moment in moments_of(self.schedule, day)
            if self._is_in_period(moment) and not any(first <= moment < last for first, last in closed)
        ]

    def covers(self, day: dt.date) -> bool:
        """Whether a day of the schedule's zone is between their first and last day."""
        return day <= self.end and (self.start is None or day >= self.start)

    def runs_at(self, moment: dt.datetime) -> bool:
        """Whether they run at an instant."""
        return (
            self.schedule.is_at(moment)
            and self._is_in_period(moment)
            and not any(window.period_at(moment, self.schedule.zone) for window in self.windows)
        )

    def _is_in_period(self, moment: dt.datetime) -> bool:
        return self.covers(moment.astimezone(self.schedule.zone).date()) and moment != self.skipped


def _without(minutes: list[int], closed: list[tuple[dt.timedelta, dt.timedelta]]) -> list[int]:
    """The minutes of a day of 24 hours that are not inside periods, which are told from midnight."""
    minute = dt.timedelta(minutes=1)
    bounds_of = [(-(-first // minute), -(-last // minute)) for first, last in closed]
    return [one for one in minutes if not any(first <= one < last for first, last in bounds_of)]


def groups(jobs: QuerySet[Job], lane: str) -> list[Group]:
    """The active jobs of a queryset, grouped by schedule, period, windows and the column `lane`; invalid schedules are
    left out.
    """
    active = jobs.filter(is_active=True).order_by()
    rows = active.values_list(lane, "start_date", "end_date", *schedule_columns()).annotate(Count("id"))
    try:
        key = str(rows.query)
    except EmptyResultSet:
        return []
    return kept.until_edited(key, lambda: list(_read(rows, active, lane)))


def _read(rows: Any, active: QuerySet[Job], lane: str) -> Iterator[Group]:
    now = timezone.now()
    windows = stopping_windows(now)
    for_all = tuple(one for one in windows if one.is_for_all)
    apart = _apart(active, lane, [one for one in windows if not one.is_for_all], now)
    for (key, some, skipped), count in apart.items():
        yield from _group(key, count, (*for_all, *some), skipped)
    taken = Counter[tuple[Any, ...]]()
    for (key, _some, _skipped), count in apart.items():
        taken[key] += count
    for *key, count in rows:
        if count > taken[tuple(key)]:
            yield from _group(tuple(key), count - taken[tuple(key)], for_all, None)


_Apart = tuple[tuple[Any, ...], tuple[Window, ...], dt.datetime | None]


def _apart(active: QuerySet[Job], lane: str, some: list[Window], now: dt.datetime) -> Counter[_Apart]:
    """The jobs that run otherwise than others of their schedule: by windows over some jobs, or a skipped run."""
    cover = Cover(some)
    found = Counter[_Apart]()
    jobs = active.filter(may_cover(some) | Q(skipped_run_at__gt=now)).select_related("calendar")
    for job in jobs.iterator(2000):
        skipped = job.skipped_run_at if job.skipped_run_at and job.skipped_run_at > now else None
        windows = tuple(cover.over(job))
        if windows or skipped:
            found[(getattr(job, lane), job.start_date, job.end_date, *job.schedule_values), windows, skipped] += 1
    return found


def _group(
    key: tuple[Any, ...], count: int, windows: tuple[Window, ...], skipped: dt.datetime | None
) -> Iterator[Group]:
    lane, start, end, *values = key
    try:
        yield Group(lane, schedule_from(*values), start, end, count, windows, skipped)
    except CronError:
        return


def bounds(first: dt.date, last: dt.date | None = None) -> tuple[dt.datetime, dt.datetime]:
    """The first instant of a day in the scheduler's zone, and the end of the same or a later day, in UTC."""
    zone = settings.SCHEDULER_ZONE
    days = (first, (last or first) + dt.timedelta(days=1))
    begin, end = (dt.datetime.combine(one, dt.time(), zone).astimezone(dt.UTC) for one in days)
    return begin, end


def moments_of(schedule: Schedule, day: dt.date) -> list[tuple[int, dt.datetime]]:
    """The fire times of a schedule on a day of the scheduler's clock, whatever its own zone, each with its minute."""
    begin, end = bounds(day)
    tick = dt.timedelta(microseconds=1)
    local = (moment.astimezone(settings.SCHEDULER_ZONE) for moment in schedule.between(begin - tick, end - tick))
    return [(moment.hour * 60 + moment.minute, moment.astimezone(dt.UTC)) for moment in local]


def runs_of(jobs: Iterable[Job], day: dt.date) -> Iterator[tuple[int, Job]]:
    """The minutes of a day at which jobs run, with the job; what closed days, windows or people skip is left out."""
    cover = Cover.since(bounds(day)[0])
    known: dict[Schedule, list[tuple[int, dt.datetime]]] = {}
    for job in jobs:
        try:
            schedule = job.schedule
        except CronError:
            continue
        if schedule not in known:
            known[schedule] = moments_of(schedule, day)
        for minute, moment in known[schedule]:
            if job.runs_at(moment) and cover.inside(job, moment) is None:
                yield minute, job


def by_minute(found: Iterable[Group], day: dt.date) -> Counter[tuple[dt.datetime, Any]]:
    """The number of jobs that run at each minute of a day, by their lane."""
    begin, _end = bounds(day)
    counts: Counter[tuple[dt.datetime, Any]] = Counter()
    for group in found:
        counts.update({(begin + minute * _MINUTE, group.lane): group.jobs for minute in group.minutes_of(day)})
    return counts


def clock(moment: dt.datetime) -> str:
    """A time of day on the scheduler's clock."""
    return f"{timezone.localtime(moment):%H:%M}"


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
        for index, moment in enumerate(moments):
            if group.runs_at(moment):
                counts[index] += group.jobs
    return counts
