"""Day items that name one day of each month, beyond crontab(5).

As Quartz's CronTrigger defines them: day of month `L` (the last day), `L-3` (three days before it), `LW` (the last
weekday, Monday to Friday), `15W` (the weekday nearest to the 15th, within the month); day of week `5#2` (the second
Friday), `5L` (the last Friday), with crontab(5)'s numbers, 0 and 7 for Sunday. And with a business calendar: `3B` (the
third business day), `LB` (the last one), `LB-1` (the one before the last).
"""

from __future__ import annotations

import datetime as dt
import re
from calendar import monthrange
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from calendars.business_days import BusinessDays

# The most business days that a month can have.
MOST_BUSINESS_DAYS = 23
_DAY_ITEM = re.compile(r"(?P<last>l)(?:-(?P<before>\d{1,2}))?|(?P<lastweekday>lw)|(?P<near>\d{1,2})w"
                       r"|(?P<business>\d{1,2})b|(?P<lastbusiness>lb)(?:-(?P<back>\d{1,2}))?", re.ASCII)  # fmt: skip
_WEEKDAY_ITEM = re.compile(r"(?P<day>[0-7]|[a-z]{3})(?:#(?P<number>\d{1,2})|(?P<last>l))", re.ASCII)


class Kind(Enum):
    """What a special day is counted from."""

    LAST = "L"
    LAST_WEEKDAY = "LW"
    NEAREST_WEEKDAY = "W"
    BUSINESS = "B"
    LAST_BUSINESS = "LB"
    NTH_OF_WEEK = "#"
    LAST_OF_WEEK = "dL"


class SpecialDay(NamedTuple):
    """One day of each month. `number`: days before the last one, the day that is near, the n-th; `weekday`: 0 is
    Sunday.
    """

    kind: Kind
    number: int = 0
    weekday: int = 0

    @property
    def needs_calendar(self) -> bool:
        return self.kind in {Kind.BUSINESS, Kind.LAST_BUSINESS}

    def day_in(self, year: int, month: int, calendar: BusinessDays | None) -> int | None:
        """The day of a month; None if the month has none, such as a fifth Friday."""
        last = monthrange(year, month)[1]
        if self.kind is Kind.LAST:
            return last - self.number if self.number < last else None
        if self.kind is Kind.LAST_WEEKDAY:
            return _nearest_weekday(year, month, last)
        if self.kind is Kind.NEAREST_WEEKDAY:
            return _nearest_weekday(year, month, self.number) if self.number <= last else None
        if self.kind is Kind.NTH_OF_WEEK:
            day = 1 + (self.weekday - dt.date(year, month, 1).isoweekday()) % 7 + 7 * (self.number - 1)
            return day if day <= last else None
        if self.kind is Kind.LAST_OF_WEEK:
            return last - (dt.date(year, month, last).isoweekday() - self.weekday) % 7
        days = calendar.open_days(year, month) if calendar else ()
        place = self.number - 1 if self.kind is Kind.BUSINESS else len(days) - 1 - self.number
        return days[place].day if 0 <= place < len(days) else None


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """The day from Monday to Friday that is nearest to a day, without leaving the month."""
    weekday = dt.date(year, month, day).isoweekday()
    if weekday == 6:
        return day - 1 if day > 1 else day + 2
    if weekday == 7:
        return day + 1 if day < monthrange(year, month)[1] else day - 2
    return day


def day_item(text: str) -> SpecialDay | None:
    """Read an item of the day of month, in lower case; None if it is not special. Raises `ValueError` with the
    reason.
    """
    match = _DAY_ITEM.fullmatch(text)
    if match is None:
        return None
    if match["last"]:
        return SpecialDay(Kind.LAST, _whole(match["before"] or "0", 0, 30, "L- takes 0 to 30 days"))
    if match["lastweekday"]:
        return SpecialDay(Kind.LAST_WEEKDAY)
    if match["near"]:
        return SpecialDay(Kind.NEAREST_WEEKDAY, _whole(match["near"], 1, 31, "W takes the days 1 to 31"))
    if match["business"]:
        most = MOST_BUSINESS_DAYS
        return SpecialDay(Kind.BUSINESS, _whole(match["business"], 1, most, f"B takes the business days 1 to {most}"))
    back = _whole(match["back"] or "0", 0, MOST_BUSINESS_DAYS - 1, f"LB- takes 0 to {MOST_BUSINESS_DAYS - 1} days")
    return SpecialDay(Kind.LAST_BUSINESS, back)


def weekday_item(text: str, names: Mapping[str, int]) -> SpecialDay | None:
    """Read an item of the day of week, in lower case; None if it is not special. Raises `ValueError` with the
    reason.
    """
    if text == "l":
        raise ValueError("'L' alone is not a value of the day of week field: write such as 5L, the last Friday.")
    match = _WEEKDAY_ITEM.fullmatch(text)
    if match is None or (not match["day"].isdigit() and match["day"] not in names):
        return None
    weekday = (int(match["day"]) if match["day"].isdigit() else names[match["day"]]) % 7
    if match["last"]:
        return SpecialDay(Kind.LAST_OF_WEEK, weekday=weekday)
    return SpecialDay(Kind.NTH_OF_WEEK, _whole(match["number"], 1, 5, "# takes the weeks 1 to 5"), weekday)


def _whole(text: str, least: int, most: int, allowed: str) -> int:
    if not least <= int(text) <= most:
        raise ValueError(f"{text} is out of range: {allowed}.")
    return int(text)
