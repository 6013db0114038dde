"""Filters on times: `date`, `add` and `epoch`."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from calendars.business_days import BusinessDays

_AMOUNT = re.compile(r"([+-]?[0-9]{1,6})\s*(s|m|h|d|w|bd|mo|y)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DAYS = {"d": 1, "w": 7}
_MONTHS = {"mo": 1, "y": 12}
# How many days a step of open days may span.
_FURTHEST_DAYS = 400
_TOKEN = re.compile(r"YYYY|YY|MM|M|DD|D|HH|H|mm|ss|SSS|ddd|ZZ|Z|\[[^\]]*\]")
_LONGEST_FORMAT = 60
_WRITERS: dict[str, Callable[[dt.datetime], str]] = {
    "YYYY": lambda at: f"{at.year:04}",
    "YY": lambda at: f"{at.year % 100:02}",
    "MM": lambda at: f"{at.month:02}",
    "M": lambda at: str(at.month),
    "DD": lambda at: f"{at.day:02}",
    "D": lambda at: str(at.day),
    "HH": lambda at: f"{at.hour:02}",
    "H": lambda at: str(at.hour),
    "mm": lambda at: f"{at.minute:02}",
    "ss": lambda at: f"{at.second:02}",
    "SSS": lambda at: f"{at.microsecond // 1000:03}",
    "ddd": lambda at: ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.weekday()],
    "Z": lambda at: _offset(at, ":"),
    "ZZ": lambda at: _offset(at, ""),
}


class Filter(NamedTuple):
    """One filter of a placeholder, with its arguments."""

    name: str
    arguments: tuple[str, ...] = ()


class Setting(NamedTuple):
    """What the filters need: the job's zone, and the days of its calendar (None without one)."""

    zone: ZoneInfo
    days: BusinessDays | None = None


def check(filters: Sequence[Filter]) -> None:
    """Raise `ValueError` for filters that are unknown, have wrong arguments or come in the wrong order."""
    for place, (name, arguments) in enumerate(filters):
        if name not in {"date", "add", "epoch"}:
            raise ValueError(f"there is no filter '{name}': write date, add or epoch")
        if name != "add" and place < len(filters) - 1:
            raise ValueError(f"'{name}' must be the last filter")
        if name == "add":
            if len(arguments) != 1:
                raise ValueError('write such as add("-1d") or add("-1bd")')
            _amount(arguments[0])
        elif name == "epoch":
            if arguments:
                raise ValueError("'epoch' takes no argument")
        elif not 1 <= len(arguments) <= 2 or len(arguments[0]) > _LONGEST_FORMAT:
            raise ValueError('write such as date("YYYY-MM-DD") or date("YYYY-MM-DD", "Asia/Tokyo")')
        elif len(arguments) == 2:
            _zone(arguments[1])


def apply(moment: dt.datetime | None, filters: Sequence[Filter], setting: Setting) -> str | int | None:
    """A time that has passed through filters; without any it is RFC 3339 in UTC. No time stays None.

    Raises `ValueError` for a result outside of the calendar.
    """
    if moment is None:
        return None
    for name, arguments in filters:
        if name == "add":
            try:
                moment = _added(moment, *_amount(arguments[0]), setting)
            except OverflowError:
                raise ValueError("a time is out of range") from None
        elif name == "epoch":
            return int(moment.timestamp())
        else:
            zone = _zone(arguments[1]) if len(arguments) == 2 else setting.zone
            local = moment.astimezone(zone)
            return "".join([one if isinstance(one, str) else one(local) for one in _format(arguments[0])])
    return rfc3339(moment)


@lru_cache(maxsize=1_000)
def rfc3339(moment: dt.datetime) -> str:
    """A time in UTC by RFC 3339, such as 2026-11-26T00:00:00Z; with a fraction only if it has one."""
    return moment.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


def _added(moment: dt.datetime, number: int, unit: str, setting: Setting) -> dt.datetime:
    """A time later or earlier: hours and less on the clock, days and more on the calendar of the job's zone."""
    if unit in _SECONDS:
        return moment + dt.timedelta(seconds=number * _SECONDS[unit])
    local = moment.astimezone(setting.zone)
    if unit in _DAYS:
        day = local.date() + dt.timedelta(days=number * _DAYS[unit])
    elif unit in _MONTHS:
        months = local.year * 12 + local.month - 1 + number * _MONTHS[unit]
        year, month = divmod(months, 12)
        if not 1 <= year <= 9999:
            raise OverflowError
        # The 31st of a month without one is its last day.
        day = dt.date(year, month + 1, min(local.day, calendar.monthrange(year, month + 1)[1]))
    else:
        if setting.days is None:
            raise ValueError("open days ('bd') need a calendar: choose one for the job")
        found = setting.days.count(local.date(), number, limit=_FURTHEST_DAYS)
        if found is None:
            raise ValueError(f"there are no {abs(number)} open days within {_FURTHEST_DAYS} days")
        day = found
    return local.replace(year=day.year, month=day.month, day=day.day)


def _amount(text: str) -> tuple[int, str]:
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"'{text[:20]}' is no amount of time: write such as -1d; s, m, h, d, w, mo, y and bd (open days) exist"
        )
    return int(found[1]), found[2]


@lru_cache(maxsize=1_000)
def _format(text: str) -> tuple[str | Callable[[dt.datetime], str], ...]:
    """A format as literal texts and writers of parts of a time."""
    parts: list[str | Callable[[dt.datetime], str]] = []
    at = 0
    for found in _TOKEN.finditer(text):
        parts += [text[at : found.start()], _WRITERS.get(found[0], found[0][1:-1])]
        at = found.end()
    return (*parts, text[at:])


def _offset(at: dt.datetime, colon: str) -> str:
    minutes = int((at.utcoffset() or dt.timedelta()).total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}{colon}{abs(minutes) % 60:02}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"the time zone '{name[:40]}' is unknown: write such as Asia/Tokyo") from None
