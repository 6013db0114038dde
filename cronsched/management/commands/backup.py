"""Back the database up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from cronsched.ops.backups import CannotBackUp, backup


class Command(BaseCommand):
    help = (
        "Writes a backup of the database to a new file, which only its owner may read, while all processes run. It"
        " holds password hashes, sessions, and the secrets of jobs and settings, encrypted. Back up secret_key in the"
        " data directory as well, but elsewhere: whoever has both reads every secret."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *args: Any, file: Path, **options: Any) -> None:
        shown = not options["json"] and self.stderr.isatty()
        try:
            size = backup(
                file, lambda done, total: shown and self.stderr.write(f"\r{done} of {total} pages", ending="")
            )
        except CannotBackUp as exc:
            raise CommandError(str(exc)) from exc
        told = {"file": str(file), "bytes": size}
        self.stdout.write(
            json.dumps(told)
            if options["json"]
            else f"{file}: {size} bytes. Keep SECRET_KEY (or secret_key in the data directory) too, elsewhere."
        )
