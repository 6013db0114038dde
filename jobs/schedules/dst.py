"""Changes of a time zone's UTC offset."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY = dt.timedelta(days=1)
MINUTE = dt.timedelta(minutes=1)


def offset(moment: dt.datetime, zone: ZoneInfo) -> dt.timedelta:
    """The zone's UTC offset at an aware datetime."""
    return moment.astimezone(zone).utcoffset() or dt.timedelta()


@lru_cache(maxsize=512)
def _of_year(zone: ZoneInfo, year: int) -> tuple[dt.datetime, ...]:
    found = []
    day = dt.datetime(year, 1, 1, tzinfo=dt.UTC)
    while day.year == year:
        if offset(day, zone) != offset(day + DAY, zone):
            found.append(_bisect(day, day + DAY, zone))
        day += DAY
    return tuple(found)


def _bisect(before: dt.datetime, after: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    while after - before > MINUTE:
        middle = before + MINUTE * ((after - before) // MINUTE // 2)
        if offset(middle, zone) == offset(before, zone):
            before = middle
        else:
            after = middle
    return after


def first_after(moment: dt.datetime, until: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
    """The first change of the offset in (moment, until], in UTC; None without one."""
    for year in range(moment.year, until.year + 1):
        for change in _of_year(zone, year):
            if moment < change <= until:
                return change
    return None


def last_until(moment: dt.datetime, zone: ZoneInfo) -> dt.datetime | None:
    """The last change of the offset in the 24 hours up to `moment`, in UTC; None without one."""
    for year in {moment.year, (moment - DAY).year}:
        for change in _of_year(zone, year):
            if moment - DAY < change <= moment:
                return change
    return None
