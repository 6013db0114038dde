"""Leadership: one scheduler leads, and proves it with a fencing token in every transaction that fires.

The lease is the single `Leadership` row. It is valid while its heartbeat is younger than `LEASE`. Every takeover
increments the token. On one machine a file lock reveals a leader's death at once; on several hosts the lease must
expire. See docs/decisions/fencing.md.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone
from filelock import FileLock, Timeout

from core.db.sessions import STALLED_SECONDS, end_stalled_sessions
from scheduler.models import HEARTBEAT_FRESH, Leadership, LeaderTerm

LEASE = HEARTBEAT_FRESH


class NotLeading(Exception):
    """Another process has become the leader."""


# Settings that change what the scheduler does.
_COMPARED = frozenset(
    {
        "CRONSCHED_ALLOWED_TARGETS", "EXECUTION_BACKEND", "GITHUB_API_URL", "GITHUB_TOKEN", "HTTPS", "MAIL_ENABLED",
        "MAIL_SERVER", "NO_PROXY", "OUTBOUND_CA_FILE", "OUTBOUND_PROXY", "PUBLIC_URL", "SCHEDULER_TIMEZONE",
    }
)  # fmt: skip


class LeaderLock(Protocol):
    """A lock that proves that no other process leads, before the lease has expired."""

    def acquire(self, timeout: float) -> bool:
        """Try to lock for up to `timeout` seconds; returns whether the previous leader has certainly ended."""
        ...

    def release(self) -> None:
        """Release the lock if it is held."""
        ...


class FileLeaderLock:
    """A lock on a file, which the operating system releases when its process ends. For schedulers on one machine."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(path, thread_local=False)

    def acquire(self, timeout: float) -> bool:
        if self._lock.is_locked:
            return True
        try:
            self._lock.acquire(timeout=timeout, poll_interval=0.1)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        self._lock.release(force=True)


class LeaseOnly:
    """No lock: only the lease decides. For schedulers on several hosts."""

    def acquire(self, timeout: float) -> bool:
        time.sleep(timeout)
        return False

    def release(self) -> None:
        """There is no lock to release."""


def configured_lock() -> LeaderLock:
    """The lock that `LEADER_LOCK` selects: a file, or the lease in the database only."""
    return FileLeaderLock(settings.SCHEDULER_LOCK_PATH) if settings.LEADER_LOCK == "file" else LeaseOnly()


def own_settings() -> dict[str, str]:
    """This process's settings that are not defaults, without secrets."""
    return {one.name: one.value for one in settings.ENVIRONMENT.read.values() if one.name in _COMPARED}


def _with_time() -> QuerySet[Any]:
    return Leadership.objects.annotate(now=Now())


def _is_led(row: Any, *, has_lock: bool) -> bool:
    """Whether a process holds the lease, and has not lost the lock that we hold now."""
    held = row is not None and row.leader_id and row.heartbeat_at is not None and row.now - row.heartbeat_at < LEASE
    return bool(held) and not (has_lock and row.has_lock)


class Leader:
    """This process's leadership: an id, the fencing token after a takeover, and a heartbeat."""

    def __init__(self) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}"
        self.token = 0

    def try_take_over(self, *, has_lock: bool) -> bool:
        """Become the leader if nobody leads: there was no leader, the lease has expired, or its holder held the lock
        that we hold now.
        """
        if _is_led(_with_time().filter(pk=1).first(), has_lock=has_lock):
            return False
        # A leader that was suspended inside a transaction has locked the row.
        end_stalled_sessions(reading=STALLED_SECONDS)
        with transaction.atomic():
            row = self._row(skip_locked=True)
            if row is None or _is_led(row, has_lock=has_lock):
                return False
            self.take_over(has_lock=has_lock)
        return True

    @transaction.atomic
    def take_over(self, *, has_lock: bool = False) -> None:
        """Become the leader unconditionally: every earlier fencing token becomes invalid."""
        row = self._row()
        LeaderTerm.objects.filter(ended_at=None).update(ended_at=row.heartbeat_at or row.now)
        row.fencing_token += 1
        row.leader_id, row.acquired_at, row.heartbeat_at, row.has_lock = self.id, row.now, row.now, has_lock
        row.settings = own_settings()
        row.save()
        LeaderTerm.objects.create(fencing_token=row.fencing_token, leader_id=self.id, started_at=row.now)
        self.token = row.fencing_token

    def _row(self, *, skip_locked: bool = False) -> Any:
        """The leadership row, locked, with the database's current time; None if it is to be skipped while another
        transaction has locked it.
        """
        Leadership.objects.get_or_create(pk=1)
        return _with_time().select_for_update(skip_locked=skip_locked).filter(pk=1).first()

    def check_fence(self) -> None:
        """Raise `NotLeading` unless this fencing token is the newest. Renews the lease, and keeps the row locked
        until the transaction ends.
        """
        self._write(heartbeat_at=Now())

    def beat(self, **values: Any) -> None:
        """Write the heartbeat and other columns. Raises `NotLeading` if another process leads."""
        self._write(heartbeat_at=Now(), **values)

    def resign(self) -> None:
        """Give up leadership, so that the next leader need not wait for the lease to expire."""
        try:
            with transaction.atomic():
                self._write(leader_id="", schedules=0)
                LeaderTerm.objects.filter(fencing_token=self.token).update(ended_at=timezone.now())
        except NotLeading:
            return

    def _write(self, **values: Any) -> None:
        if not Leadership.objects.filter(pk=1, fencing_token=self.token).exclude(leader_id="").update(**values):
            raise NotLeading(f"fencing token {self.token} is void")
