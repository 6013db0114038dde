"""Every n-th day of a schedule, such as every other Friday, counted from a date."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass
from functools import lru_cache

from calendars.business_days import DAY, BusinessDays
from jobs.schedules.crontab import Crontab


@dataclass(frozen=True)
class EveryNth:
    """Of the days that an expression names from `since` on, the first and then each `n`-th. `n` = 1: all days."""

    n: int = 1
    since: dt.date | None = None

    @property
    def keeps_all(self) -> bool:
        return self.n == 1 or self.since is None


def kept_days(
    tab: Crontab, calendar: BusinessDays | None, nth: EveryNth, first: dt.date, last: dt.date
) -> list[dt.date]:
    """The days from `first` to `last` that the expression names and that are kept, in order."""
    month, days = first.replace(day=1), list[dt.date]()
    while month <= last:
        named = _named(tab, calendar, month.year, month.month)
        if not nth.keeps_all:
            assert nth.since is not None
            before = _named_before(tab, calendar, nth.since, month.year, month.month)
            counted = [day for day in named if day >= nth.since]
            named = tuple(day for place, day in enumerate(counted, before) if place % nth.n == 0)
        days += [day for day in named if first <= day <= last]
        month = _following(month)
    return days


@lru_cache(maxsize=50_000)
def _named(tab: Crontab, calendar: BusinessDays | None, year: int, month: int) -> tuple[dt.date, ...]:
    first = dt.date(year, month, 1)
    days = (_following(first) - first).days
    return tuple(day for day in (first + number * DAY for number in range(days)) if tab.matches_day(day, calendar))


def _named_before(tab: Crontab, calendar: BusinessDays | None, since: dt.date, year: int, month: int) -> int:
    """How many days the expression names from `since` to the end of the month before."""
    place = 12 * (year - since.year) + month - since.month
    if place <= 0:
        return 0
    tally = _tally(tab, calendar, since)
    with _TALLYING:
        while len(tally) <= place:
            years, months = divmod(since.month - 1 + len(tally) - 1, 12)
            named = _named(tab, calendar, since.year + years, months + 1)
            tally.append(tally[-1] + sum(day >= since for day in named))
    return tally[place]


@lru_cache(maxsize=5_000)
def _tally(tab: Crontab, calendar: BusinessDays | None, since: dt.date) -> list[int]:
    """How many days are named before each month, from that of `since` on; it grows as it is asked."""
    return [0]


_TALLYING = threading.Lock()


def _following(month: dt.date) -> dt.date:
    """The first day of the month after."""
    return (month + 31 * DAY).replace(day=1)
