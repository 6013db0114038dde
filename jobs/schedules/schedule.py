"""`Schedule`: the fire times of a cron expression in a time zone."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from croniter import croniter
from django.conf import settings
from django.utils import translation

from jobs.schedules import crontab, dst, words
from jobs.schedules.crontab import CronError, Crontab, Field

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = dt.timedelta(minutes=1)
# Debian's cron treats a clock change up to this size as daylight saving, a larger one as a correction.
LARGEST_LEAP = dt.timedelta(hours=3)


@dataclass(frozen=True)
class Schedule:
    """A cron expression (crontab(5), see `jobs.schedules.crontab`) in a zone. Fire times are aware UTC datetimes on
    whole minutes of the zone's clock.

    Daylight saving follows Debian's cron(8): skipped times fire right after the change, times in a repeated hour fire
    once; expressions with `*` for minute or hour follow the wall clock. Create one with `schedule_of`.
    """

    expression: str
    zone: ZoneInfo
    tab: Crontab = field(compare=False)

    def next(self, after: dt.datetime) -> dt.datetime:
        """The first fire time strictly after `after` (aware)."""
        start = after.astimezone(dt.UTC).replace(second=0, microsecond=0)
        found = _next(self, start)
        # Some offsets of the past have seconds (Africa/Monrovia before 1972), and so have the fire times under them.
        return found if found > after else _next(self, start + MINUTE)

    def previous(self, before: dt.datetime) -> dt.datetime:
        """The last fire time strictly before `before` (aware)."""
        before = before.astimezone(dt.UTC)
        window = MINUTE
        while True:
            found = None
            for moment in self.between(before - window, before):
                if moment < before:
                    found = moment
            if found:
                return found
            window *= 4

    def upcoming(self, count: int, after: dt.datetime) -> list[dt.datetime]:
        """The first `count` fire times strictly after `after`."""
        return list(islice(self._from(after), count))

    def between(self, after: dt.datetime, until: dt.datetime) -> Iterator[dt.datetime]:
        """The fire times in (after, until], in order."""
        for moment in self._from(after):
            if moment > until:
                return
            yield moment

    def minutes_of(self, day: dt.date) -> list[int]:
        """The minutes of a day on the zone's clock, counted from midnight, at which it fires, in ascending order."""
        midnight = dt.datetime.combine(day, dt.time(), self.zone)
        following = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), self.zone)
        if midnight.utcoffset() != following.utcoffset():
            # In UTC, because the last minute before `following` may not exist on the zone's clock.
            moments = self.between(midnight - dt.timedelta(microseconds=1), following.astimezone(dt.UTC) - MINUTE)
            return [local.hour * 60 + local.minute for local in (one.astimezone(self.zone) for one in moments)]
        return list(self.tab.minutes) if self.tab.matches_day(day) else []

    def describe(self) -> str:
        """The schedule in words, in the active language: English or Japanese."""
        return words.describe(self.tab, translation.get_language() or "en")

    def _from(self, after: dt.datetime) -> Iterator[dt.datetime]:
        while True:
            after = self.next(after)
            yield after


@lru_cache(maxsize=20_000)
def schedule_of(expression: str, zone: ZoneInfo | None = None) -> Schedule:
    """The schedule of an expression, by default in the scheduler's zone. Raises `CronError` with the reason."""
    return Schedule(expression, zone or settings.SCHEDULER_ZONE, crontab.parse(expression))


@lru_cache(maxsize=50_000)
def _next(schedule: Schedule, after: dt.datetime) -> dt.datetime:
    """Cached: every `after` within a minute has the same result, so all jobs of an expression share one computation."""
    zone, fixed_time = schedule.zone, not schedule.tab.follows_clock
    offset = dst.offset(after, zone)
    wall = after.replace(tzinfo=None) + offset
    behind = dst.last_until(after, zone)
    if behind and fixed_time:
        # A fixed time in the repeated hour has fired already.
        lost = dst.offset(behind - MINUTE, zone) - offset
        if dt.timedelta() < lost <= LARGEST_LEAP:
            wall = max(wall, behind.replace(tzinfo=None) + offset + lost - MINUTE)
    while True:
        match = _next_wall(schedule.tab, wall)
        moment = (match - offset).replace(tzinfo=dt.UTC)
        change = dst.first_after(after, moment, zone)
        if change is None:
            return moment
        new_offset = dst.offset(change, zone)
        leap = new_offset - offset
        resumes = change.replace(tzinfo=None) + new_offset
        if fixed_time and dt.timedelta() < leap <= LARGEST_LEAP and match < resumes:
            return change
        if fixed_time and -LARGEST_LEAP <= leap < dt.timedelta():
            resumes -= leap
        after, offset, wall = change, new_offset, resumes - MINUTE


def _next_wall(tab: Crontab, wall: dt.datetime) -> dt.datetime:
    with _ITERATORS:
        found: dt.datetime = _iterator(tab).get_next(dt.datetime, start_time=wall)
    return found


# A croniter object keeps its position, so one thread uses it at a time.
_ITERATORS = threading.Lock()


@lru_cache(maxsize=5_000)
def _iterator(tab: Crontab) -> croniter:
    # Plain lists of values, because croniter reads a range such as 5-5 as the whole week.
    every_day = tab.either_day and (len(tab.day.values) == 31 or len(tab.weekday.values) == 7)
    days = ["*", "*"] if every_day else [_listed(tab.day, 31), _listed(tab.weekday, 7)]
    text = " ".join([_listed(tab.minute, 60), _listed(tab.hour, 24), days[0], _listed(tab.month, 12), days[1]])
    return croniter(text, day_or=tab.either_day, max_years_between_matches=50)


def _listed(field: Field, size: int) -> str:
    return "*" if len(field.values) == size else ",".join(map(str, sorted(field.values)))


__all__ = ["CronError", "Schedule", "schedule_of"]
