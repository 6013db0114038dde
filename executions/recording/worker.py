"""The row that says that this process delivers executions, and how recovery knows whether it lives."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from uuid import uuid4

from django.db import DatabaseError, connection
from django.utils import timezone

from executions.models import Worker

log = logging.getLogger("cronsched.recorder")
HEARTBEAT_SECONDS = 5.0
# Seconds without a heartbeat after which a worker is considered dead.
STALE_SECONDS = 15.0


class WorkerRow:
    """This process's worker row. Its heartbeat shows that the executions of `id` are being delivered.

    If no heartbeat could be written for `STALE_SECONDS` (the process was suspended, or the database was unreachable),
    other workers may have taken these executions over: deliveries that have not begun are left to them
    (`is_current`), and the process continues as a new worker.
    """

    def __init__(self, phases: Callable[[], dict[str, int]]) -> None:
        self.id = uuid4()
        self._phases = phases
        self._beat_at = 0.0

    @property
    def is_current(self) -> bool:
        """Whether no other process can consider this worker dead."""
        return time.monotonic() - self._beat_at < STALE_SECONDS

    def register(self) -> None:
        """Write the row."""
        Worker.objects.create(
            id=self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            namespace=pid_namespace(),
            memory_bytes=memory_of_this_process(),
        )
        self._beat_at = time.monotonic()

    def beat(self) -> None:
        """Write the heartbeat if it is time."""
        now = time.monotonic()
        if not self.is_current:
            log.warning("no heartbeat for %.0f s: continuing as a new worker", now - self._beat_at)
            Worker.objects.filter(pk=self.id).delete()
            self.id = uuid4()
            self.register()
        elif now - self._beat_at >= HEARTBEAT_SECONDS:
            self._beat_at = now if self._write() else 0.0

    def leave(self) -> None:
        """Delete the row, and close the connection of this thread."""
        try:
            Worker.objects.filter(pk=self.id).delete()
        except DatabaseError as exc:
            log.warning("the worker row could not be deleted: %s", exc)
        connection.close()

    def _write(self) -> bool:
        values = {
            "heartbeat_at": timezone.now(),
            "memory_bytes": memory_of_this_process(),
            "phases": self._phases(),
        }
        return bool(Worker.objects.filter(pk=self.id).update(**values))


@cache
def pid_namespace() -> str:
    """Identifies the boot and the PID namespace in which this process's pid means it; '' where the system does not
    tell (proc(5), pid_namespaces(7)).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def memory_of_this_process() -> int | None:
    """Resident memory in bytes; None if the system does not report it (proc(5), statm)."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
