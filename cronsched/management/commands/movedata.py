"""Move the installation to another database."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from cronsched.environment import SettingError
from cronsched.ops.move_database import CannotMove, move


class Command(BaseCommand):
    help = (
        "Copies all data to another, empty database, from SQLite to PostgreSQL or back, and verifies "
        "it by counts and checksums. Stop all processes of Cronsched first. An interrupted move "
        "continues where it stopped."
    )

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--to", required=True, help="sqlite:////path/to/file or postgresql://user:password@host/name"
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")

    def handle(self, *args: Any, to: str, **options: Any) -> None:
        self._quiet = options["json"]
        try:
            moved = list(move(to, self._progress))
        except (CannotMove, SettingError) as exc:
            raise CommandError(str(exc)) from exc
        except DatabaseError as exc:
            raise CommandError(
                f"A database failed: {exc}. What was copied is kept: run the same command again."
            ) from exc
        if options["json"]:
            self.stdout.write(json.dumps([one._asdict() for one in moved]))
            return
        for one in moved:
            self.stdout.write(f"{one.table:40} {one.rows:>10} rows  {one.checksum}")
        self.stdout.write(
            "Moved and verified. Set DATABASE_URL to it, and start Cronsched with the same SECRET_KEY and "
            "encryption keys."
        )

    def _progress(self, table: str, done: int, total: int) -> None:
        if not self._quiet:
            self.stderr.write(f"{table}: {done} of {total}")
