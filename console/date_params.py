"""Date parameters: days and times in the URLs of console pages."""

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
