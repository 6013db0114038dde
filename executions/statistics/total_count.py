"""How many executions there are, exactly, without counting all of them each time.

Those of past days change only when executions are deleted, or when fire times of past days are recorded as missed: then `HistoryVersion` grows. So each process counts the past
once, and after that only what is new.
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
    """What began before this moment, a midnight in UTC at least a day ago, is past."""
    return (timezone.now() - _DAY).replace(hour=0, minute=0, second=0, microsecond=0)


def bump_history_version() -> None:
    """Note it; in the transaction that changes the past."""
    if not HistoryVersion.objects.filter(pk=1).update(changes=F("changes") + 1):
        HistoryVersion.objects.get_or_create(pk=1)


def total(executions: Any, key: tuple[str, ...]) -> int:
    """How many these are; `key` names the filter, which must be by what never changes (kind, trigger)."""
    border = recent_begins()
    changes = HistoryVersion.objects.filter(pk=1).values_list("changes", flat=True).first() or 0
    known = _known.get(key)
    if known is None or known[:2] != (border, changes):
        if len(_known) >= _MOST:
            _known.clear()
        known = _known[key] = (border, changes, executions.filter(started_at__lt=border).count())
    return known[2] + int(executions.filter(started_at__gte=border).count())
