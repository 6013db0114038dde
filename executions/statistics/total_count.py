"""The exact number of executions without counting the table for each request.

The number of executions of past days changes only when executions are deleted or recorded as missed; `HistoryVersion`
is incremented then. So each process counts the past once, and afterwards only counts executions of the last day.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import F
from django.utils import timezone

from executions.models import HistoryVersion

_DAY = dt.timedelta(days=1)
_MOST = 64
Known = tuple[dt.datetime, int, int]
_known: dict[tuple[str, ...], Known] = {}


def recent_begins() -> dt.datetime:
    """Executions that began before this time, a UTC midnight at least a day ago, belong to the past."""
    return (timezone.now() - _DAY).replace(hour=0, minute=0, second=0, microsecond=0)


def bump_history_version() -> None:
    """Increment the history version. Call it in the transaction that changes the past."""
    if not HistoryVersion.objects.filter(pk=1).update(changes=F("changes") + 1):
        HistoryVersion.objects.get_or_create(pk=1)


def total(executions: Any, key: tuple[str, ...]) -> int:
    """The number of executions in `executions`; `key` names the filter, which may only use columns that never change
    (kind, trigger).
    """
    border = recent_begins()
    changes = HistoryVersion.objects.filter(pk=1).values_list("changes", flat=True).first() or 0
    known = _known.get(key)
    if known is None or known[:2] != (border, changes):
        if len(_known) >= _MOST:
            _known.clear()
        known = _known[key] = (border, changes, executions.filter(started_at__lt=border).count())
    return known[2] + int(executions.filter(started_at__gte=border).count())
