"""Leadership: of all schedulers one leads, and proves it with a fencing token in every transaction that fires."""

from __future__ import annotations

import datetime as dt
import os
import socket
from pathlib import Path
from typing import Any, Protocol

from django.db import transaction
from django.utils import timezone
from filelock import FileLock, Timeout

from scheduler.models import Leadership


class NotLeading(Exception):
    """Another process has become the leader since."""


class LeaderLock(Protocol):
    """Mutual exclusion among schedulers."""

    def acquire(self, timeout: float) -> bool:
        """Try for up to `timeout` seconds; returns whether the lock is held now."""
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
        try:
            self._lock.acquire(timeout=timeout, poll_interval=0.1)
        except Timeout:
            return False
        return True

    def release(self) -> None:
        self._lock.release()


class Leader:
    """This process's claim to lead: an id, a fencing token once it has taken over, and a heartbeat."""

    def __init__(self) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}"
        self.token = 0

    @transaction.atomic
    def take_over(self) -> None:
        """Become the leader: every older token is void from now on."""
        Leadership.objects.get_or_create(pk=1)
        row = Leadership.objects.select_for_update().get(pk=1)
        row.fencing_token += 1
        row.leader_id, row.acquired_at, row.heartbeat_at = self.id, timezone.now(), timezone.now()
        row.save()
        self.token = row.fencing_token

    def check_fence(self) -> None:
        """Raise `NotLeading` unless this token is still the newest; holds the row until the transaction ends."""
        token = Leadership.objects.select_for_update().values_list("fencing_token", flat=True).filter(pk=1).first()
        if token != self.token:
            raise NotLeading(f"fencing token {self.token} is void, {token} leads")

    def beat(self, *, schedules: int, last_resync_at: dt.datetime | None) -> None:
        """Write the heartbeat. Raises `NotLeading` if another leads."""
        self._write(heartbeat_at=timezone.now(), schedules=schedules, last_resync_at=last_resync_at)

    def resign(self) -> None:
        """Leave the lead, so that nobody takes this process for alive."""
        try:
            self._write(leader_id="", schedules=0)
        except NotLeading:
            return

    def _write(self, **values: Any) -> None:
        if not Leadership.objects.filter(pk=1, fencing_token=self.token).update(**values):
            raise NotLeading(f"fencing token {self.token} is void")
