"""Retention of the audit trail: `AUDIT_KEPT_DAYS`; 0 keeps all."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from audit.models import ChangeRecord

_AT_ONCE = 2000


def delete_old() -> int:
    """Delete the records that are older, in small steps; returns how many."""
    if not settings.AUDIT_KEPT_DAYS:
        return 0
    total, before = 0, timezone.now() - dt.timedelta(days=settings.AUDIT_KEPT_DAYS)
    # Ids are UUIDs of version 7: the oldest come first.
    old = ChangeRecord.objects.filter(at__lt=before).order_by("id").values_list("pk", flat=True)
    while ids := list(old[:_AT_ONCE]):
        total += ChangeRecord.objects.filter(pk__in=ids).delete()[0]
    return total
