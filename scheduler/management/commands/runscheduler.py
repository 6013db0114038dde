"""Run the scheduler."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from scheduler.service import SchedulerService


class Command(BaseCommand):
    help = (
        "Fires jobs on time. Several may run: one leads, the others stand by. SIGTERM and Ctrl-C hand the lead over"
        " at once and let calls under way finish."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self._check_database()
        service = SchedulerService()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: service.stop())
        service.run()

    def _check_database(self) -> None:
        try:
            executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
            pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseError as exc:
            raise CommandError(f"The database cannot be reached; check DATABASE_URL. ({exc})") from exc
        if pending:
            raise CommandError("The database is not up to date: run 'manage.py migrate' first.")
