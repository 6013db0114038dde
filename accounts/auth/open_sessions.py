"""The logins of a user, of both kinds, that have not ended."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from accounts.models import LoginSession, User, WebSession


def open_sessions(user: User) -> list[LoginSession | WebSession]:
    """The user's logins of the API and sessions of the admin that have not expired, newest first."""
    now = timezone.now()
    idle = now - dt.timedelta(seconds=settings.SESSION_IDLE_SECONDS)
    found: list[LoginSession | WebSession] = [
        *user.login_sessions.filter(expires_at__gt=now),
        *user.web_sessions.filter(expire_date__gt=now, seen_at__gt=idle),
    ]
    return sorted(found, key=lambda one: one.created_at, reverse=True)
