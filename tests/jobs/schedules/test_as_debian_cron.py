"""Daylight saving as in Debian's cron(8): its main loop (`cron.c`, version 3.0pl1) minute by minute, against `Schedule`
around the clock changes of many zones.

cron keeps two clocks in local minutes, the time and a virtual time. Where they differ by one minute, all jobs of that
minute run. After a leap of up to three hours, jobs with `*` for minute or hour run for the present minute only, and
jobs at fixed times for every minute that was left out; after a step back, those with `*` only, until the virtual time
is reached again. After a larger change the virtual time is set.
"""

from __future__ import annotations

import datetime as dt
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from jobs.schedules.schedule import schedule_of

pytestmark = pytest.mark.long
_MINUTES_OF_LEAP = 3 * 60
_BEFORE, _AFTER = 14 * 60, 30 * 60
# Zones with the year whose clock changes are walked: of an hour, half an hour, two hours and a day, at midnight, in
# both halves of the world, with winter time as the exception, and of rules that ended.
YEARS = {
    "Africa/Cairo": 2024, "Africa/Casablanca": 2024, "Africa/El_Aaiun": 2023, "America/Asuncion": 2023,
    "America/Caracas": 2016, "America/Chicago": 2024, "America/Havana": 2024, "America/New_York": 2024,
    "America/Nuuk": 2024, "America/Santiago": 2024, "America/Scoresbysund": 2024, "America/St_Johns": 2010,
    "Antarctica/Casey": 2010, "Antarctica/Troll": 2024, "Asia/Amman": 2021, "Asia/Beirut": 2024, "Asia/Gaza": 2022,
    "Asia/Jerusalem": 2024, "Asia/Pyongyang": 2018, "Asia/Tehran": 2022, "Asia/Tokyo": 1950, "Atlantic/Azores": 2024,
    "Australia/Lord_Howe": 2024, "Australia/Sydney": 2024, "Europe/Berlin": 2024, "Europe/Chisinau": 2024,
    "Europe/Dublin": 2024, "Europe/London": 2024, "Pacific/Apia": 2011, "Pacific/Auckland": 2024,
    "Pacific/Chatham": 2024, "Pacific/Easter": 2024,
}  # fmt: skip
EXPRESSIONS = [
    "* * * * *", "*/5 * * * *", "*/7 * * * *", "*/15 * * * *", "*/15 2 * * *", "*/30 1-3 * * *", "0 * * * *",
    "5 * * * *", "15,45 * * * *", "30 * * * *", "59 * * * *", "0 */2 * * *", "30 */2 * * *", "0 */3 * * *",
    "20-40 * * * *", "0 0 * * *", "0 1 * * *", "0 2 * * *", "0 3 * * *", "1 0 * * *", "1 3 * * *", "15 0 * * *",
    "15 1 * * *", "15 2 * * *", "29 1 * * *", "30 0 * * *", "30 1 * * *", "30 2 * * *", "30 3 * * *", "45 1 * * *",
    "45 2 * * *", "59 0 * * *", "59 1 * * *", "59 2 * * *", "59 23 * * *", "30 23 * * *", "0 23 * * *", "0 12 * * *",
    "0,30 2 * * *", "5,55 1,2 * * *", "10-50/10 2 * * *", "0 0-4 * * *", "30 0-4 * * *", "0 1,2,3 * * *",
    "17 1-23/2 * * *", "0 2 * * 0", "30 2 * * 0", "0 0 * * 6", "30 1 * * 7", "0 2 1 * *", "30 2 31 * *",
    "0 3 27-31 3 *", "30 1 25-31 10 0", "0 0 1 4,10 *", "*/10 0 * * 0", "* 2 * * *", "* 1-2 * * 0", "2 2 * 3 *",
    "0 4 * * *", "30 12 * * 1-5",
]  # fmt: skip


class Cron(NamedTuple):
    """The fields of an expression, read by other rules than the product's."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    is_wild: bool
    either: bool

    @classmethod
    def read(cls, text: str) -> Cron:
        words = text.split()
        found = [_field(word, *bounds) for word, bounds in zip(words, [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)],
                                                               strict=True)]  # fmt: skip
        weekdays = frozenset(day % 7 for day in found[4])
        is_wild = words[0].startswith("*") or words[1].startswith("*")
        return cls(*found[:4], weekdays, is_wild, not (words[2].startswith("*") or words[4].startswith("*")))

    def names(self, local: int) -> bool:
        """Whether it names a minute, counted on the local clock from 1970."""
        minute, hour = local % 60, local // 60 % 24
        return minute in self.minutes and hour in self.hours and self._on(local // 1440)

    def _on(self, number: int) -> bool:
        day = dt.date(1970, 1, 1) + dt.timedelta(days=number)
        if day.month not in self.months:
            return False
        hits = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return any(hits) if self.either else all(hits)


def _field(word: str, low: int, high: int) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, _, step = part.partition("/")
        first, _, last = (f"{low}-{high}" if span == "*" else span).partition("-")
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return frozenset(found)


@cache
def local_minutes(zone: str, first: int, last: int) -> list[int]:
    """The local clock of each minute of UTC, both in minutes from 1970."""
    there = ZoneInfo(zone)
    shown = []
    for minute in range(first, last):
        offset = dt.datetime.fromtimestamp(60 * minute, there).utcoffset()
        assert offset is not None
        shown.append(minute + int(offset.total_seconds() // 60))
    return shown


def as_cron(cron: Cron, clock: list[int], first: int) -> set[int]:
    """The minutes of UTC in which cron starts the job."""
    fired: set[int] = set()
    virtual = clock[0]
    for minute, now in enumerate(clock[1:], first + 1):
        ahead = now - virtual
        if ahead == 1 or ahead > _MINUTES_OF_LEAP or ahead <= -_MINUTES_OF_LEAP:
            virtual = now
            runs = cron.names(now)
        elif ahead > 0:
            missed = range(virtual + 1, now + 1)
            virtual = now
            runs = cron.names(now) if cron.is_wild else any(cron.names(one) for one in missed)
        else:
            runs = cron.is_wild and cron.names(now)
        if runs:
            fired.add(minute)
    return fired


@cache
def changes(zone: str) -> list[int]:
    """The minutes of UTC at which the clock changes in the zone's year."""
    first = int(dt.datetime(YEARS[zone], 1, 1, tzinfo=dt.UTC).timestamp()) // 60
    there, found = ZoneInfo(zone), []
    before = None
    for minute in range(first, first + 366 * 1440, 15):
        offset = dt.datetime.fromtimestamp(60 * minute, there).utcoffset()
        if before is not None and offset != before:
            found.append(minute)
        before = offset
    return found


@pytest.mark.parametrize("zone", YEARS)
def test_it_fires_as_debians_cron(zone: str) -> None:
    assert changes(zone)
    for change in changes(zone):
        first, last = change - _BEFORE, change + _AFTER
        clock = local_minutes(zone, first, last)
        start, end = (dt.datetime.fromtimestamp(60 * one, dt.UTC) for one in (first, last - 1))
        for text in EXPRESSIONS:
            found = schedule_of(text, ZoneInfo(zone)).between(start, end)
            ours = {int(moment.timestamp()) // 60 for moment in found}
            theirs = as_cron(Cron.read(text), clock, first)
            odd = sorted(f"{dt.datetime.fromtimestamp(60 * one, ZoneInfo(zone))}" for one in ours ^ theirs)
            assert not odd, (text, odd[:6])
