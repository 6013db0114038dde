"""Follow the log of `make run`."""

from __future__ import annotations

import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Follows the log that `run` writes into the data directory. Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("-n", "--lines", type=int, default=50, help="How many past lines to show first (50).")

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.LOG_FILE
        if not path.is_file():
            raise CommandError(
                f"There is no log at {path}: './cronschedctl run' writes it. Under systemd: "
                "'journalctl -u cronsched -f'; in a container: the container's log."
            )
        os.execvp("tail", ["tail", "-n", str(options["lines"]), "-F", str(path)])  # noqa: S606, S607
