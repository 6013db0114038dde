"""Report whether this host's scheduler or worker is alive: for health checks of containers."""

from __future__ import annotations

import datetime as dt
import socket
import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError
from django.utils import timezone

from executions.models import Worker
from executions.recording import STALE_SECONDS
from scheduler.models import Leadership


class Command(BaseCommand):
    help = (
        "Exits with 0 if a worker of this host has a heartbeat or a scheduler leads, otherwise with "
        "1. For health checks."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        since = timezone.now() - dt.timedelta(seconds=2 * STALE_SECONDS)
        try:
            works = Worker.objects.filter(host=socket.gethostname(), heartbeat_at__gte=since).exists()
            leads = Leadership.current().is_live
        except DatabaseError as exc:
            self.stderr.write(f"The database does not answer: {exc}")
            sys.exit(1)
        self.stdout.write(
            f"worker of this host: {'alive' if works else 'none'}; leader: {'alive' if leads else 'none'}"
        )
        sys.exit(0 if works or leads else 1)
