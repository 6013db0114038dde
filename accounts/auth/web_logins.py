"""Notes logins and logouts of the admin, by password or single sign-on, in the audit trail."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out

from audit import events
from audit.events import Event


def connect() -> None:
    """Called once, when the app starts."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit of logins")
    user_logged_out.connect(_logged_out, dispatch_uid="audit of logouts")


def _logged_in(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    is_signed_on = getattr(user, "backend", "").endswith("SingleSignOn")
    events.note(Event.LOGIN, user.username, by=user, about=user.pk, way="single sign-on" if is_signed_on else "admin")


def _logged_out(sender: Any, request: Any, user: Any, **kwargs: Any) -> None:
    if user is not None:
        events.note(Event.LOGOUT, user.username, by=user, about=user.pk, way="admin")
