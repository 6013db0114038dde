"""`Schedule`: the fire times of a cron expression in a time zone, with the closed days of a business calendar."""

from __future__ import annotations

import datetime as dt
import threading
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from croniter import croniter
from django.conf import settings
from django.utils import translation

from calendars.business_days import DAY, BusinessDays
from jobs.schedules import crontab, dst, words
from jobs.schedules.closed_days import ClosedDayRule, Move, move
from jobs.schedules.crontab import CronError, Crontab, Field
from jobs.schedules.every_nth import EveryNth, kept_days

if TYPE_CHECKING:
    from collections.abc import Iterator

MINUTE = dt.timedelta(minutes=1)
# Debian's cron treats a clock change up to this size as daylight saving, a larger one as a correction.
LARGEST_LEAP = dt.timedelta(hours=3)
# A schedule without a fire time for so long has none.
_LONGEST_GAP_YEARS = 50
_MOST_SKIPPED = 10
_PLAIN = ClosedDayRule()
_EACH = EveryNth()


@dataclass(frozen=True)
class Schedule:
    """A cron expression (crontab(5), see `jobs.schedules.crontab`) in a zone. Fire times are aware UTC datetimes on
    whole minutes of the zone's clock.

    The expression names nominal times, of which `nth` may keep every n-th day. With a calendar, those on closed days
    follow the rule: they run, are skipped, or move to the same time of an open day; several that land on one day are
    one fire time.

    Daylight saving follows Debian's cron(8): skipped times fire right after the change, times in a repeated hour fire
    once; expressions with `*` for minute or hour follow the wall clock. Create one with `schedule_of`.
    """

    expression: str
    zone: ZoneInfo
    calendar: BusinessDays | None = None
    rule: ClosedDayRule = _PLAIN
    nth: EveryNth = _EACH
    tab: Crontab = field(compare=False, kw_only=True)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        # Kept, because every look-up of a fire time needs it.
        return hash((self.expression, self.zone, self.calendar, self.rule, self.nth))

    @property
    def key(self) -> str:
        """A text that is equal for equal schedules."""
        if self.is_plain and self.zone == settings.SCHEDULER_ZONE:
            return self.expression
        return f"{self.expression} {self.zone} {self.calendar and self.calendar.key} {self.rule} {self.nth}"

    @cached_property
    def is_plain(self) -> bool:
        """Whether days are only those of crontab(5)."""
        moves = self.calendar is not None and not self.rule.changes_nothing
        return not (moves or self.tab.special) and self.nth.keeps_all

    def next(self, after: dt.datetime) -> dt.datetime:
        """The first fire time strictly after `after` (aware). Raises `CronError` if there is none."""
        self._require_times()
        start = after.astimezone(dt.UTC).replace(second=0, microsecond=0)
        found = _next(self, start)
        # Some offsets of the past have seconds (Africa/Monrovia before 1972), and so have the fire times under them.
        return found if found > after else _next(self, start + MINUTE)

    def previous(self, before: dt.datetime) -> dt.datetime:
        """The last fire time strictly before `before` (aware). Raises `CronError` if there is none."""
        self._require_times()
        before = before.astimezone(dt.UTC)
        window = MINUTE
        while not self._has_not_begun(before):
            found = None
            for moment in self.between(before - window, before):
                if moment < before:
                    found = moment
            if found:
                return found
            if self._has_not_begun(before - window):
                break
            window *= 4
        raise CronError(f"It has no fire time before: its days are counted from {self.nth.since}.")

    def _require_times(self) -> None:
        if self.tab.is_manual:
            raise CronError("It has no fire times: write five fields, such as '0 9 * * 1-5'.")

    def _has_not_begun(self, moment: dt.datetime) -> bool:
        """Whether no day is counted before an instant, with the days that a rule may move."""
        if self.nth.since is None or self.nth.keeps_all:
            return False
        reach = (self.rule.reach_days + 2) * DAY
        return moment.astimezone(self.zone).date() < self.nth.since - reach

    def upcoming(self, count: int, after: dt.datetime) -> list[dt.datetime]:
        """The first `count` fire times strictly after `after`; fewer if there are no more. Raises `CronError` if there
        is none.
        """
        if self.tab.is_manual or not count:
            return []
        first = self.next(after)
        return [first, *islice(self._from(first), count - 1)]

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
        return list(self.tab.minutes) if self.fires_on(day) else []

    def fires_on(self, day: dt.date) -> bool:
        """Whether a day of the zone has fire times, but for those that daylight saving moves over midnight."""
        return self.tab.matches_day(day) if self.is_plain else day in self._fire_days(day.year, day.month)

    def days_by_nominal(self, first: dt.date, last: dt.date) -> dict[dt.date, dt.date]:
        """The days from `first` to `last` on which it fires, by their nominal days."""
        found: dict[dt.date, dt.date] = {}
        month = first.replace(day=1)
        while month <= last:
            for day, nominal in self._fire_days(month.year, month.month).items():
                if first <= day <= last:
                    found |= dict.fromkeys(nominal, day)
            month = (month + 31 * DAY).replace(day=1)
        return found

    def nominal_for(self, moment: dt.datetime) -> dt.datetime | None:
        """The nominal time of a fire time that was moved; None if it was not."""
        return None if self.is_plain or self.calendar is None else _nominal_for(self, moment)

    def move_of(self, moment: dt.datetime) -> Move | None:
        """What becomes of a nominal time; None if the expression does not name this minute."""
        if self.calendar is None or not self._nominal().is_at(moment):
            return None
        return move(moment.astimezone(self.zone).date(), self.calendar, self.rule)

    def is_at(self, moment: dt.datetime) -> bool:
        """Whether it fires in the minute of `moment` (aware)."""
        local = moment.astimezone(self.zone)
        if local.utcoffset() == (moment - LARGEST_LEAP).astimezone(self.zone).utcoffset():
            # No clock change before it could move a fire time here.
            return 60 * local.hour + local.minute in self.tab.minutes and self.fires_on(local.date())
        moment = moment.astimezone(dt.UTC).replace(second=0, microsecond=0)
        return next(self._from(moment - MINUTE), None) == moment

    def skipped(self, after: dt.datetime, until: dt.datetime) -> Iterator[tuple[dt.datetime, str]]:
        """The nominal times in (after, until] that do not run, with the reason, in order."""
        if self.calendar is None or self.rule.changes_nothing:
            return
        for moment in self._nominal().between(after, until):
            found = move(moment.astimezone(self.zone).date(), self.calendar, self.rule)
            if found.day is None:
                yield moment, self.closed_reason(found)

    def closed_reason(self, found: Move) -> str:
        assert self.calendar is not None
        return f"closed day {found.closed_because} (calendar {self.calendar.name})"

    def outlook(self, count: int, after: dt.datetime) -> list[Outlook]:
        """The next `count` fire times, and the first ten nominal times among them that do not run, in order."""
        coming = self.upcoming(count, after)
        rows = [Outlook(moment, True, self.nominal_for(moment)) for moment in coming]
        gone = islice(self.skipped(after, coming[-1]), _MOST_SKIPPED) if coming else ()
        return sorted([*rows, *(Outlook(moment, False, None, why) for moment, why in gone)])

    def describe(self) -> str:
        """The schedule in words, in the active language: English or Japanese."""
        language = translation.get_language() or "en"
        told = words.describe(self.tab, language)
        if not self.nth.keeps_all:
            told += words.every_nth(self.nth, language)
        if self.calendar is None or (self.rule.changes_nothing and not self.tab.needs_calendar):
            return told
        return told + words.closed_days(self.rule, self.calendar.name, language)

    def _fire_days(self, year: int, month: int) -> Mapping[dt.date, tuple[dt.date, ...]]:
        """The days of a month on which it fires, each with its nominal days."""
        return _fire_days(self.tab.at_midnight, self.calendar, self.rule, self.nth, year, month)

    def _nominal(self) -> Schedule:
        return schedule_of(self.expression, self.zone, self.calendar, nth=self.nth)

    def _from(self, after: dt.datetime) -> Iterator[dt.datetime]:
        """The fire times after an instant, up to the last one, if a calendar leaves no more."""
        while not self.tab.is_manual:
            try:
                after = self.next(after)
            except CronError:
                return
            yield after


class Outlook(NamedTuple):
    """A coming time: whether it runs, the nominal time if it was moved, and the reason if it does not run."""

    moment: dt.datetime
    runs: bool
    nominal: dt.datetime | None = None
    reason: str = ""


@lru_cache(maxsize=20_000)
def schedule_of(
    expression: str,
    zone: ZoneInfo | None = None,
    calendar: BusinessDays | None = None,
    rule: ClosedDayRule = _PLAIN,
    nth: EveryNth = _EACH,
) -> Schedule:
    """The schedule of an expression, by default in the scheduler's zone. Raises `CronError` with the reason."""
    tab = crontab.parse(expression)
    if tab.needs_calendar and calendar is None:
        raise CronError("Business days (B) need a calendar: choose one, or write L for the last day of the month.")
    return Schedule(expression, zone or settings.SCHEDULER_ZONE, calendar, rule, nth, tab=tab)


@lru_cache(maxsize=20_000)
def _fire_days(
    tab: Crontab, calendar: BusinessDays | None, rule: ClosedDayRule, nth: EveryNth, year: int, month: int
) -> Mapping[dt.date, tuple[dt.date, ...]]:
    first = dt.date(year, month, 1)
    last = (first + 31 * DAY).replace(day=1) - DAY
    reach = rule.reach_days * DAY if calendar else dt.timedelta()
    found: defaultdict[dt.date, tuple[dt.date, ...]] = defaultdict(tuple)
    for day in kept_days(tab, calendar, nth, first - reach, last + reach):
        target = move(day, calendar, rule).day if calendar else day
        if target is not None and first <= target <= last:
            found[target] += (day,)
    return dict(found)


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
        match = _next_wall(schedule, wall)
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


def _next_wall(schedule: Schedule, wall: dt.datetime) -> dt.datetime:
    """The first time after `wall`, both on the zone's clock."""
    if schedule.is_plain:
        with _ITERATORS:
            found: dt.datetime = _iterator(schedule.tab).get_next(dt.datetime, start_time=wall)
        return found
    minutes = schedule.tab.minutes
    day, place = wall.date(), bisect_right(minutes, 60 * wall.hour + wall.minute)
    if place == len(minutes) or not schedule.fires_on(day):
        day, place = _next_day(schedule, day), 0
    return dt.datetime.combine(day, dt.time(*divmod(minutes[place], 60)))


def _next_day(schedule: Schedule, after: dt.date) -> dt.date:
    year, month = after.year, after.month
    for _month in range(12 * _LONGEST_GAP_YEARS):
        days = [day for day in schedule._fire_days(year, month) if day > after]
        if days:
            return min(days)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    raise CronError(f"It never fires: no day of the next {_LONGEST_GAP_YEARS} years fits.")


@lru_cache(maxsize=5_000)
def _nominal_for(schedule: Schedule, moment: dt.datetime) -> dt.datetime | None:
    """Cached, because many jobs of a schedule fire at one instant."""
    local = moment.astimezone(schedule.zone)
    days = schedule._fire_days(local.year, local.month).get(local.date(), ())
    if not days or local.date() in days:
        return None
    return dt.datetime.combine(days[0], local.timetz()).astimezone(dt.UTC)


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


__all__ = ["ClosedDayRule", "CronError", "EveryNth", "Outlook", "Schedule", "schedule_of"]
