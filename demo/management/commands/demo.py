"""Create sample data in a separate data directory."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from demo import seed
from jobs.models import Job


class Command(BaseCommand):
    help = (
        "Fills an empty installation with sample jobs and three months of history. `make demo` calls it and "
        "serves the result."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--echo-port", type=int, default=5099, help="where the demo's target listens (default 5099)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("setup", stdout=self.stdout)
        if settings.CRONSCHED_ADMIN_PASSWORD:
            login = f"{settings.CRONSCHED_ADMIN_USERNAME} / {settings.CRONSCHED_ADMIN_PASSWORD}"
            self.stdout.write(f"Log in at http://localhost:{settings.PORT}/admin/ as {login}")
        if Job.objects.exists():
            self.stdout.write("There are jobs already: nothing is added.")
            return
        if "127.0.0.1" not in settings.CRONSCHED_ALLOWED_TARGETS:
            raise CommandError(
                "The demo's jobs call this machine: set CRONSCHED_ALLOWED_TARGETS=127.0.0.1, or use `make demo`."
            )
        self.stdout.write("Making sixty jobs with ninety days of history; this takes a moment ...")
        count = seed.seed(f"http://127.0.0.1:{options['echo_port']}")
        self.stdout.write(f"Made {Job.objects.count()} jobs with {count} executions.")
