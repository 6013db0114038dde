"""Show every setting."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Shows every setting: its value in this shell, and whether it comes from the environment, .env or a default."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true", help="Print them as JSON.")
        parser.add_argument("--changed", action="store_true", help="Only those that are not defaults.")

    def handle(self, *args: Any, **options: Any) -> None:
        read = settings.ENVIRONMENT.read.values()
        shown = [one for one in read if not options["changed"] or one.source != "default"]
        if options["json"]:
            self.stdout.write(json.dumps([one._asdict() for one in shown], ensure_ascii=False))
            return
        width = max((len(one.name) for one in shown), default=0)
        for one in shown:
            self.stdout.write(f"{one.name:<{width}}  {one.value or '(empty)':<40}  {one.source}")
        for name, like in settings.ENVIRONMENT.unknown().items():
            meant = f"; did you mean {like}?" if like else ""
            self.stdout.write(f"{name} in .env is not a setting of Cronsched{meant}")
