"""Restore a backup."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from cronsched.ops.backups import CannotBackUp, restore


class Command(BaseCommand):
    help = (
        "Replaces the database by a backup and migrates it. Stop all processes of Cronsched first, and restore only"
        " what you trust: a backup holds accounts with their rights."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--replace", action="store_true", help="Lose what is in the database now.")
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        if options["replace"] and not options["yes"]:
            self._ask()
        shown = self.stderr.isatty()
        try:
            restore(
                file,
                lambda done, total: shown and self.stderr.write(f"\r{done} of {total} pages", ending=""),
                replace=options["replace"],
            )
        except CannotBackUp as exc:
            raise CommandError(str(exc)) from exc
        call_command("migrate", verbosity=0, interactive=False)
        self.stdout.write(
            "Restored. Start Cronsched; fire times that passed meanwhile are handled by each job's misfire policy."
        )

    def _ask(self) -> None:
        if not sys.stdin.isatty():
            raise CommandError("Say --yes to replace the database without being asked.")
        if input("Everything in the database is lost. Type 'replace' to go on: ").strip() != "replace":
            raise CommandError("Nothing was changed.")
