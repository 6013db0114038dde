"""A second reading of crontab(5), minute by minute, to hold `Schedule` against. It shares no code with it."""

from __future__ import annotations

import datetime as dt
from functools import cache

MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]


@cache
def values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        start, end = (low, high) if span == "*" else (int(first), int(last or first))
        found |= {value for value in range(start, end + 1) if (value - start) % int(step or 1) == 0}
    return found


@cache
def parts(expression: str) -> list[str]:
    """The five fields of an expression, with numbers in place of names."""
    text = expression.lower()
    for names, base in ((MONTHS, 1), (DAYS, 0)):
        for number, name in enumerate(names, base):
            text = text.replace(name, str(number))
    return text.split()


def matches(expression: str, moment: dt.datetime) -> bool:
    """Whether an expression (numbers or names) names this wall-clock minute."""
    minute, hour, day, month, weekday = parts(expression)
    on_day = moment.day in values(day, 1, 31)
    cron_weekday = moment.isoweekday() % 7
    high = 6 if weekday.startswith("*") else 7
    on_weekday = bool({cron_weekday, cron_weekday or 7} & values(weekday, 0, high))
    either = not day.startswith("*") and not weekday.startswith("*")
    return (
        moment.minute in values(minute, 0, 59)
        and moment.hour in values(hour, 0, 23)
        and moment.month in values(month, 1, 12)
        and ((on_day or on_weekday) if either else (on_day and on_weekday))
    )


def upcoming(expression: str, after: dt.datetime, count: int, days: int) -> list[dt.datetime]:
    """Up to `count` matching wall-clock minutes after `after`, within `days` days. Whole days that cannot match are
    passed over.
    """
    found: list[dt.datetime] = []
    moment = after.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
    end = after + dt.timedelta(days=days)
    _, _, day, month, weekday = expression.split()
    while moment <= end and len(found) < count:
        if not matches(f"* * {day} {month} {weekday}", moment):
            moment = moment.replace(hour=0, minute=0) + dt.timedelta(days=1)
        else:
            if matches(expression, moment):
                found.append(moment)
            moment += dt.timedelta(minutes=1)
    return found
