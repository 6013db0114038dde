"""Run the scheduler."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from core.runtime.readiness import wait_for_database
from scheduler.process import SchedulerProcess


class Command(BaseCommand):
    help = (
        "Fires jobs on time. Any number may run: one leads, the others stand by. SIGTERM and Ctrl-C "
        "pass leadership on at once and let running calls finish."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        wait_for_database()
        service = SchedulerProcess()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: service.stop())
        service.run()
