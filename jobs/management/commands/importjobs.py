"""Create jobs from a file."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from core.api.errors import DomainError
from jobs.transfer.importing import Import, import_jobs, import_json


class Command(BaseCommand):
    help = "Creates jobs from a CSV file (in the form of the bulk upload) or a JSON file (in the form of exportjobs)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--dry-run", action="store_true", help="validate every row without creating jobs")
        parser.add_argument("--owner", help="username of the account that the jobs will belong to")
        parser.add_argument("--default-github-owner", default="", help="for rows without an owner")
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        by = self._owner(options["owner"])
        try:
            raw = options["file"].read_bytes()
        except OSError as exc:
            raise CommandError(f"{options['file']} cannot be read: {exc.strerror}.") from exc
        try:
            if options["file"].suffix.lower() == ".json":
                found = import_json(raw, by=by, dry_run=options["dry_run"], progress=self._progress)
            else:
                found = import_jobs(
                    raw,
                    by=by,
                    dry_run=options["dry_run"],
                    default_owner=options["default_github_owner"],
                    progress=self._progress,
                )
        except DomainError as exc:
            raise CommandError(f"{exc.error}: {exc.message}") from exc
        self._report(found, options)
        if found.errors:
            raise SystemExit(1)

    def _owner(self, name: str | None) -> User | None:
        if name is None:
            return None
        user = User.objects.by_identity(name)
        if user is None:
            raise CommandError(f"There is no account '{name}'.")
        return user

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"\r{done} of {total} rows checked", ending="\n" if done == total else "")

    def _report(self, found: Import, options: dict[str, Any]) -> None:
        if options["json"]:
            jobs = [job.name for _, job in found.jobs]
            self.stdout.write(
                json.dumps({"jobs": jobs, "errors": found.errors, "dry_run": options["dry_run"]}, ensure_ascii=False)
            )
            return
        for error in found.errors:
            column = f", column {error['column']}" if error["column"] else ""
            self.stdout.write(f"row {error['row']}{column}: {error['error']}: {error['message']}")
        verb = "would be created" if options["dry_run"] else "created"
        self.stdout.write(f"{len(found.jobs)} jobs {verb}, {len(found.errors)} rows refused.")
