"""Throttles failed logins by name and client address; all processes share the counters in the database."""

from __future__ import annotations

import datetime as dt
import math

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import LoginFailures
from core.api.errors import TooManyRequests


def _window() -> dt.timedelta:
    return dt.timedelta(seconds=settings.LOGIN_FAILURE_WINDOW_SECONDS)


def check(identity: str, address: str) -> None:
    """Raise `TooManyRequests` while this name and address have too many failed logins."""
    row = LoginFailures.objects.filter(identity=identity[:254], address=address).first()
    now = timezone.now()
    if row and row.count >= settings.LOGIN_FAILURES_ALLOWED and row.ends_at(_window()) > now:
        wait = max(1, math.ceil((row.ends_at(_window()) - now).total_seconds()))
        raise TooManyRequests(
            "Too many login attempts",
            f"Too many failed logins for this account. Try again in {wait} seconds.",
            retry_after=wait,
        )


def failed(identity: str, address: str) -> None:
    """Count a failed login and delete counters whose window has passed."""
    now = timezone.now()
    LoginFailures.objects.filter(since__lte=now - _window()).delete()
    rows = LoginFailures.objects.filter(identity=identity[:254], address=address)
    if rows.update(count=F("count") + 1):
        return
    try:
        with transaction.atomic():
            LoginFailures.objects.create(identity=identity[:254], address=address, count=1, since=now)
    except IntegrityError:
        rows.update(count=F("count") + 1)


def succeeded(identity: str, address: str) -> None:
    """Delete the counter of this name and address."""
    LoginFailures.objects.filter(identity=identity[:254], address=address).delete()
