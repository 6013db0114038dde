"""The logins of a user, of both kinds, that have not ended."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import LoginSession, User, WebSession


def open_sessions(user: User) -> list[LoginSession | WebSession]:
    """The user's logins of the API and sessions of the admin that have not expired, newest first."""
    found: list[LoginSession | WebSession] = [one for rows in _open(user) for one in rows]
    return sorted(found, key=lambda one: one.created_at, reverse=True)


def is_logged_in_from(user: User, address: str, *, with_second_factor: bool = False) -> bool:
    """Whether one of them is from this address; `with_second_factor`: one for which its code was shown."""
    wanted = {"address": address} | ({"second_factor": True} if with_second_factor else {})
    return bool(address) and any(rows.filter(**wanted).exists() for rows in _open(user))


def _open(user: User) -> tuple[QuerySet[LoginSession], QuerySet[WebSession]]:
    now = timezone.now()
    idle = now - dt.timedelta(seconds=settings.SESSION_IDLE_SECONDS)
    return user.login_sessions.filter(expires_at__gt=now), user.web_sessions.filter(
        expire_date__gt=now, seen_at__gt=idle
    )
