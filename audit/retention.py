"""Retention of the audit trail: `AUDIT_KEPT_DAYS`; 0 keeps all."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from audit.models import ChangeRecord
from core.db.deletion import delete_in_steps


def delete_old() -> int:
    """Delete the records that are older, in steps; returns how many."""
    if not settings.AUDIT_KEPT_DAYS:
        return 0
    before = timezone.now() - dt.timedelta(days=settings.AUDIT_KEPT_DAYS)
    # Ids are UUIDs of version 7: the oldest come first.
    return delete_in_steps(ChangeRecord.objects.filter(at__lt=before).order_by("id"))
