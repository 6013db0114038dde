"""Heartbeat files: a process shows that its main loop goes on, and `manage.py alive` looks at it on the same host."""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path

from django.conf import settings

log = logging.getLogger("cronsched.heartbeat")
FRESH_SECONDS = 15.0
_EVERY_SECONDS = 1.0
_beats: dict[str, float] = {}


def beat(role: str) -> None:
    """Touch the file of a role ("scheduler" or "worker"), at most once a second. A full disk raises nothing."""
    now = time.monotonic()
    if now - _beats.get(role, -_EVERY_SECONDS) < _EVERY_SECONDS:
        return
    _beats[role] = now
    try:
        _file(role).touch(mode=0o600)
    except OSError as exc:
        log.warning("the heartbeat file cannot be written: %s", exc)


def age(role: str) -> float | None:
    """Seconds since the last heartbeat of this role on this host; None without one."""
    try:
        return max(0.0, time.time() - _file(role).stat().st_mtime)
    except OSError:
        return None


def stop(role: str) -> None:
    """Remove the file when the process ends as planned."""
    _file(role).unlink(missing_ok=True)


def _file(role: str) -> Path:
    return Path(settings.CRONSCHED_DATA_DIR) / f"{role}.{socket.gethostname()}.alive"
