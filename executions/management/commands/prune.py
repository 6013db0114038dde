"""Delete executions that are past retention."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand

from executions import retention


class Command(BaseCommand):
    help = (
        "Deletes executions beyond EXECUTIONS_KEPT_DAYS, _SUCCESS, _FAILED and _UNRUN, in small "
        "steps, as the scheduler does every hour. Statistics remain."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        quiet = options["json"] or not self.stderr.isatty()
        total = retention.prune(None if quiet else lambda count: self.stderr.write(f"\r{count} deleted", ending=""))
        self.stdout.write(json.dumps({"deleted": total}) if options["json"] else f"{total} executions deleted.")
