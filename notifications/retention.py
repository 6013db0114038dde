"""Retention of notifications: `NOTIFICATIONS_KEPT_DAYS`."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from core.db.deletion import delete_in_steps
from notifications import inbox
from notifications.models import Event, Message


def delete_old() -> int:
    """Delete the events and messages that are older, in steps, and what inboxes say of them.

    Returns how many events.
    """
    limit = timezone.now() - dt.timedelta(days=settings.NOTIFICATIONS_KEPT_DAYS)
    deleted = delete_in_steps(Event.objects.filter(created_at__lt=limit).order_by())
    delete_in_steps(Message.objects.filter(created_at__lt=limit).order_by())
    inbox.forget(limit)
    return deleted
