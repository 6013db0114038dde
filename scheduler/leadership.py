"""Leadership: of all schedulers one leads, and proves it with a fencing token in every transaction that fires.

The lease is the one `Leadership` row: it holds while its heartbeat is younger than `LEASE`. Whoever takes it over raises the token.
On one machine a file lock tells of a leader's death at once; without it (several hosts) the lease has to run out.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone
from filelock import FileLock, Timeout

from scheduler.models import HEARTBEAT_FRESH, Leadership, LeaderTerm

LEASE = HEARTBEAT_FRESH


class NotLeading(Exception):
    """Another process has become the leader since."""


class LeaderLock(Protocol):
    """What shows that no other process can lead any more, before its lease has run out."""

    def acquire(self, timeout: float) -> bool:
        """Try for up to `timeout` seconds; returns whether the leader before is surely gone."""
        ...

    def release(self) -> None:
        """Give the lock up, if it is held."""
        ...


class FileLeaderLock:
    """An operating system's lock on a file: it ends with its process, however that dies. For schedulers on one machine."""

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
    """No lock: the lease alone decides. For schedulers on several hosts."""

    def acquire(self, timeout: float) -> bool:
        time.sleep(timeout)
        return False

    def release(self) -> None:
        """Nothing is held."""


def configured_lock() -> LeaderLock:
    """The lock that `LEADER_LOCK` names: a file, or the database's lease alone."""
    return FileLeaderLock(settings.SCHEDULER_LOCK_PATH) if settings.LEADER_LOCK == "file" else LeaseOnly()


class Leader:
    """This process's claim to lead: an id, a fencing token once it has taken over, and a heartbeat."""

    def __init__(self) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}"
        self.token = 0

    @transaction.atomic
    def try_take_over(self, *, has_lock: bool) -> bool:
        """Become the leader if nobody is: none has signed, the lease has run out, or its holder had the lock that is ours now."""
        row = self._row()
        held = bool(row.leader_id) and row.heartbeat_at is not None and row.now - row.heartbeat_at < LEASE
        if held and not (has_lock and row.has_lock):
            return False
        self.take_over(has_lock=has_lock)
        return True

    @transaction.atomic
    def take_over(self, *, has_lock: bool = False) -> None:
        """Become the leader whoever is: every older token is void from now on."""
        row = self._row()
        LeaderTerm.objects.filter(ended_at=None).update(ended_at=row.heartbeat_at or row.now)
        row.fencing_token += 1
        row.leader_id, row.acquired_at, row.heartbeat_at, row.has_lock = self.id, row.now, row.now, has_lock
        row.save()
        LeaderTerm.objects.create(fencing_token=row.fencing_token, leader_id=self.id, started_at=row.now)
        self.token = row.fencing_token

    def _row(self) -> Any:
        """The leadership, locked, with the database's `now`."""
        Leadership.objects.get_or_create(pk=1)
        return Leadership.objects.select_for_update().annotate(now=Now()).get(pk=1)

    def check_fence(self) -> None:
        """Raise `NotLeading` unless this token is still the newest; renews the lease, and holds its row until the transaction ends."""
        self._write(heartbeat_at=Now())

    def beat(self, **values: Any) -> None:
        """Write the heartbeat, and other columns. Raises `NotLeading` if another leads."""
        self._write(heartbeat_at=Now(), **values)

    def resign(self) -> None:
        """Leave the lead, so that nobody waits for the lease to run out."""
        try:
            with transaction.atomic():
                self._write(leader_id="", schedules=0)
                LeaderTerm.objects.filter(fencing_token=self.token).update(ended_at=timezone.now())
        except NotLeading:
            return

    def _write(self, **values: Any) -> None:
        if not Leadership.objects.filter(pk=1, fencing_token=self.token).exclude(leader_id="").update(**values):
            raise NotLeading(f"fencing token {self.token} is void")
