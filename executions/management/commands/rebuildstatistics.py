"""Rebuild the rollups from the stored executions."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from executions.statistics import rollups


class Command(BaseCommand):
    help = (
        "Computes the statistics again from the stored executions, hour by hour, while all processes "
        "run. Counts of executions that retention deleted remain."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--days", type=int, default=0, help="Only the last days (all).")
        parser.add_argument(
            "--lower",
            action="store_true",
            help="Also lower counts to those of the stored executions: the counts of deleted executions are lost.",
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *args: Any, days: int, lower: bool, **options: Any) -> None:
        since = timezone.now() - dt.timedelta(days=days) if days else None
        hours = 0
        for hour, last in rollups.rebuild(since, lower=lower):
            hours += 1
            if not options["json"] and self.stderr.isatty():
                self.stderr.write(f"\r{hour:%Y-%m-%d %H}:00 of {last:%Y-%m-%d %H}:00 UTC", ending="")
        self.stdout.write(json.dumps({"hours": hours}) if options["json"] else f"{hours} hours counted anew.")
