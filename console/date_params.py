"""Date parameters: days, times and presets of periods in the URLs of console pages."""

from __future__ import annotations

import datetime as dt

from django.conf import settings

# Outside these years date arithmetic may overflow, and no execution exists.
_YEARS = (1971, 2200)


def read_day(text: str) -> dt.date | None:
    """Parse a day such as `2026-11-24`; None for any other text."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if _YEARS[0] <= day.year <= _YEARS[1] else None


def read_moment(text: str) -> dt.datetime | None:
    """Parse a time in the scheduler's zone such as `2026-11-24T09:00`; None for any other text."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=settings.SCHEDULER_ZONE)


def period(name: str, now: dt.datetime) -> tuple[dt.datetime, dt.datetime] | None:
    """The period of a preset as [from, until); None for an unknown name."""
    ages = {"hour": dt.timedelta(hours=1), "day": dt.timedelta(days=1), "week": dt.timedelta(days=7)}
    if name in ages:
        # What starts while the page is read belongs to it.
        return now - ages[name], now + dt.timedelta(days=1)
    zone = settings.SCHEDULER_ZONE
    local = now.astimezone(zone)

    def at(hour: int, days_ago: int) -> dt.datetime:
        return dt.datetime.combine(local.date() - dt.timedelta(days=days_ago), dt.time(hour), zone)

    presets = {
        "today": (at(0, 0), at(0, -1)),
        "yesterday": (at(0, 1), at(0, 0)),
        # Until midnight the night that ended this morning.
        "night": (at(18, 1), at(9, 0)),
    }
    return presets.get(name)
