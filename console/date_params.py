"""Days and moments as addresses of the console's pages hold them."""

from __future__ import annotations

import datetime as dt

from django.conf import settings

# Beyond these years arithmetic on dates may fail, and no execution is.
_YEARS = (1971, 2200)


def read_day(text: str) -> dt.date | None:
    """A day of this product's time, as `2026-11-24`; None for anything else."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if _YEARS[0] <= day.year <= _YEARS[1] else None


def read_moment(text: str) -> dt.datetime | None:
    """A moment in the scheduler's zone, as `2026-11-24T09:00`; None for anything else."""
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=settings.SCHEDULER_ZONE)
