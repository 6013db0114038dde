"""Write the jobs to a file."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit import events
from audit.events import Event
from core.runtime.files import open_private
from jobs.models import Job
from jobs.transfer.exporting import RELATED, write_csv, write_json


class Command(BaseCommand):
    help = (
        "Writes all jobs as CSV or JSON for importjobs. JSON includes mail settings and policies. The file holds"
        " metadata and URLs in clear; only its owner may read it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=["csv", "json"], default="csv")
        parser.add_argument("--output", help="a file; default: standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = Job.objects.select_related(*RELATED).order_by("name")
        write = write_csv if options["format"] == "csv" else write_json
        if not options["output"]:
            count = write(jobs, sys.stdout, reader=None)
            events.note(Event.EXPORTED, "jobs", count=count, format=options["format"])
            return
        try:
            with open_private(options["output"], encoding="utf-8", newline="") as out:
                count = write(jobs, out, reader=None)
        except OSError as exc:
            raise CommandError(f"{options['output']} cannot be written: {exc.strerror}.") from exc
        events.note(Event.EXPORTED, "jobs", count=count, format=options["format"])
        self.stderr.write(f"{count} jobs written to {options['output']}.")
