"""Run a Celery worker."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from core.runtime import heartbeat
from core.runtime.readiness import wait_for_database
from executions.backends import shut_down
from executions.celery_backend.dispatch import queues
from executions.delivery import engine

log = logging.getLogger("cronsched.worker")


class Command(BaseCommand):
    help = (
        "Delivers executions that the scheduler sends through the broker (EXECUTION_BACKEND=celery). "
        "Any number may run, on any host. SIGTERM and Ctrl-C let running calls finish and release the"
        " others."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        names = ", ".join(queue.removeprefix("cronsched.") for queue in queues())
        parser.add_argument("--queues", default=",".join(settings.WORKER_QUEUES), help=f"Any of {names}, with commas.")

    def handle(self, *args: Any, **options: Any) -> None:
        os.umask(0o077)
        names = str(options["queues"])
        if settings.EXECUTION_BACKEND != "celery":
            raise CommandError("EXECUTION_BACKEND is 'local': the scheduler makes the calls itself. Set it to celery.")
        wanted = [f"cronsched.{name.strip()}" for name in names.split(",") if name.strip()]
        if not wanted or not set(wanted) <= set(queues()):
            raise CommandError(f"--queues={names} is unknown; write any of {', '.join(queues())} without 'cronsched.'.")
        wait_for_database()
        from cronsched.celery import app

        engine.local_engine()
        try:
            while self._serve(app, wanted):
                log.warning("dropped an unreadable message")
        finally:
            shut_down()
            heartbeat.stop("worker")

    def _serve(self, app: Any, names: list[str]) -> bool:
        """Run until stopped; returns whether an error ended the worker."""
        # The threads share this process's engine; with two, one claims while the other waits for a free slot.
        worker = app.Worker(
            hostname=f"cronsched@{socket.gethostname()}-{engine.worker_id().hex[:8]}",
            pool_cls="threads",
            concurrency=2,
            queues=names,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            task_events=False,
            loglevel="WARNING",
            quiet=True,
        )
        worker.start()
        return bool(worker.exitcode)
