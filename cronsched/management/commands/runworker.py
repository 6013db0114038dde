"""Run a Celery worker."""

from __future__ import annotations

import logging
import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from contract.readiness import wait_for_database
from executions import engine
from executions.queueing import QUEUES
from executions.services import shut_down

log = logging.getLogger("cronsched.worker")


class Command(BaseCommand):
    help = (
        "Carries out executions that the scheduler sends through the broker (EXECUTION_BACKEND=celery). Run as many as wanted, on any"
        " hosts. SIGTERM and Ctrl-C let calls under way finish, and leave the rest to others."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        names = ", ".join(queue.removeprefix("cronsched.") for queue in QUEUES)
        parser.add_argument("--queues", default=",".join(settings.WORKER_QUEUES), help=f"Any of {names}, with commas.")

    def handle(self, *args: Any, queues: str, **options: Any) -> None:
        if settings.EXECUTION_BACKEND != "celery":
            raise CommandError("EXECUTION_BACKEND is 'local': the scheduler makes the calls itself. Set it to celery.")
        wanted = [f"cronsched.{name.strip()}" for name in queues.split(",") if name.strip()]
        if not wanted or not set(wanted) <= set(QUEUES):
            raise CommandError(f"--queues={queues} is unknown; write any of {', '.join(QUEUES)} without 'cronsched.'.")
        wait_for_database()
        from cronsched.celery import app

        engine.local_engine()
        try:
            while self._serve(app, wanted):
                log.warning("a message that could not be read was dropped; going on")
        finally:
            shut_down()

    def _serve(self, app: Any, queues: list[str]) -> bool:
        """Work until told to stop; returns whether something on a queue ended it instead."""
        # Threads share this process's engine; two of them claim while one waits for room.
        worker = app.Worker(
            hostname=f"cronsched@{socket.gethostname()}-{engine.worker_id().hex[:8]}",
            pool_cls="threads",
            concurrency=2,
            queues=queues,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            task_events=False,
            loglevel="WARNING",
            quiet=True,
        )
        worker.start()
        return bool(worker.exitcode)
