"""Sessions of the admin (`SESSION_ENGINE`): each knows its user and address, so that it can be listed and ended.

Keys are stored as digests: whoever reads the database or a backup cannot take a session over. A session ends after
`SESSION_IDLE_SECONDS` without a request, and after `SESSION_SECONDS` in any case.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone
from django_otp import DEVICE_ID_SESSION_KEY

from core.runtime import request_context

_BEGAN = "_began"
# How exactly the last use is stored.
_SEEN_EVERY = dt.timedelta(minutes=1)


class SessionStore(DatabaseStore):
    """Django's store with digests for keys, and an idle limit."""

    @classmethod
    def get_model_class(cls) -> Any:
        return apps.get_model("accounts", "WebSession")

    def exists(self, session_key: str) -> bool:
        return bool(super().exists(digest(session_key)))

    def delete(self, session_key: str | None = None) -> None:
        key = session_key or self.session_key
        if key is not None:
            super().delete(digest(key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        now = timezone.now()
        row: Any = super().create_model_instance(data)
        row.session_key = digest(row.session_key)
        row.user_id = data.get("_auth_user_id")
        row.second_factor = DEVICE_ID_SESSION_KEY in data
        row.address = request_context.address() or None
        row.created_at = dt.datetime.fromisoformat(data.setdefault(_BEGAN, now.isoformat()))
        longest = row.created_at + dt.timedelta(seconds=settings.SESSION_COOKIE_AGE)
        row.expire_date = min(row.expire_date, longest)
        row.session_data = self.encode(data)
        row.seen_at = now
        return row

    def cycle_key(self) -> None:
        """A new key, as after a login, begins a new session."""
        self.pop(_BEGAN, None)
        super().cycle_key()

    def _get_session_from_db(self) -> Any:
        now = timezone.now()
        idle = now - dt.timedelta(seconds=settings.SESSION_IDLE_SECONDS)
        sessions: Any = self.model.objects
        rows = sessions.filter(session_key=digest(self.session_key or ""), expire_date__gt=now)
        row = rows.filter(seen_at__gt=idle).first()
        if row is None:
            self._session_key = None
        elif row.seen_at < now - _SEEN_EVERY:
            rows.update(seen_at=now)
        return row


def digest(key: str) -> str:
    """The stored form of a session key, which is random: a fast hash is enough."""
    return hashlib.blake2b(key.encode(), digest_size=20).hexdigest()
