"""Report whether this host's scheduler or worker is alive: for health checks of containers."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand

from core.runtime import heartbeat

_ROLES = ("scheduler", "worker")


class Command(BaseCommand):
    help = (
        "Exits with 0 if the main loop of this host's scheduler (leading or standing by) or worker goes on, otherwise "
        "with 1. For health checks; it asks no database."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("role", nargs="?", choices=_ROLES, help="Which process; without it any of them.")

    def handle(self, *args: Any, role: str | None, **options: Any) -> None:
        ages = {name: heartbeat.age(name) for name in ([role] if role else _ROLES)}
        for name, age in ages.items():
            self.stdout.write(f"{name}: {'no heartbeat' if age is None else f'last heartbeat {age:.0f} s ago'}")
        fresh = any(age is not None and age < heartbeat.FRESH_SECONDS for age in ages.values())
        sys.exit(0 if fresh else 1)
