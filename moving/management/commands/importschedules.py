"""Propose and create jobs for the schedules of other schedulers."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User
from core.api.errors import DomainError
from moving import services
from moving.entries import Proposal, Verdict

_GIVEN = ("pic_team", "category", "end_date", "target_url", "time_zone")


class Command(BaseCommand):
    help = (
        "Proposes jobs for the schedules of another scheduler: the workflows that a GitHub credential reaches, or a "
        "file (crontab, Kubernetes, EventBridge, Cloud Scheduler, django-celery-beat, Quartz). --create creates them, "
        "disabled."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", choices=[services.GITHUB, *services.READERS])
        parser.add_argument("file", type=Path, nargs="?", help="the file; for every source but github")
        parser.add_argument("--credential", default="", help="name of the GitHub credential; default: GITHUB_TOKEN")
        parser.add_argument("--pic-team", required=True)
        parser.add_argument("--category", default="")
        parser.add_argument("--end-date", required=True, help="last day of the jobs, such as 2027-03-31")
        parser.add_argument("--target-url", default="", help="for schedules that call no webhook")
        parser.add_argument("--time-zone", default="", help="for schedules that name none, such as Asia/Tokyo")
        parser.add_argument("--owner", help="username of the account that the jobs will belong to")
        parser.add_argument("--create", action="store_true", help="create the jobs that can be, disabled")
        parser.add_argument("--exact-only", action="store_true", help="with --create: only those without a change")
        parser.add_argument(
            "--patches",
            type=Path,
            help="folder for patches that remove the schedules",
        )
        parser.add_argument("--json", action="store_true", help="print the result as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        by = self._owner(options["owner"])
        given = {name: options[name] for name in _GIVEN if options[name]}
        try:
            found = self._propose(options, given, by)
            wanted = [Verdict.EXACT] if options["exact_only"] else [Verdict.EXACT, Verdict.CHANGED]
            chosen = [one.job for one in found.proposals if one.verdict in wanted]
            jobs = services.create(chosen, by=by) if options["create"] and chosen else []
        except DomainError as exc:
            raise CommandError(f"{exc.error}: {exc.message}") from exc
        if options["patches"]:
            self._write_patches(options["patches"], found.proposals, wanted)
        self._report(found, len(jobs), options)

    def _propose(self, options: dict[str, Any], given: dict[str, Any], by: User | None) -> services.Proposals:
        if options["source"] == services.GITHUB:
            return services.propose_github(options["credential"], given, by=by, progress=self._progress)
        if options["file"] is None:
            raise CommandError("Name the file.")
        try:
            text = options["file"].read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as exc:
            raise CommandError(f"{options['file']} cannot be read: {exc}.") from exc
        return services.propose_file(options["source"], text, given, by=by)

    def _progress(self, done: int, total: int) -> None:
        self.stderr.write(f"\r{done} of {total} repositories read", ending="\n" if done == total else "")

    def _owner(self, name: str | None) -> User | None:
        user = User.objects.by_identity(name) if name else None
        if name and user is None:
            raise CommandError(f"There is no account '{name}'.")
        return user

    def _write_patches(self, folder: Path, proposals: list[Proposal], wanted: list[Verdict]) -> None:
        """One patch for each repository, for the workflow files all of whose schedules become jobs."""
        rows = [(one.entry.source, one.removal, one.verdict in wanted) for one in proposals]
        folder.mkdir(parents=True, exist_ok=True)
        for repository, patch in services.removals(rows).items():
            (folder / f"{repository.replace('/', '+')}.patch").write_text(patch, encoding="utf-8")

    def _report(self, found: services.Proposals, created: int, options: dict[str, Any]) -> None:
        if options["json"]:
            rows = [{"source": one.entry.source, "schedule": one.entry.schedule, "verdict": one.verdict.value,
                     "reasons": list(one.reasons), "job": one.job or None} for one in found.proposals]  # fmt: skip
            unread = [{"repository": name, "reason": reason} for name, reason in found.unread]
            told = {"proposals": rows, "unread": unread, "created": created}
            self.stdout.write(json.dumps(told, ensure_ascii=False))
            return
        for one in found.proposals:
            reasons = f": {'; '.join(one.reasons)}" if one.reasons else ""
            name = one.job.get("name", one.entry.name)
            self.stdout.write(f"{one.verdict.value:8} {one.entry.source}  {one.entry.schedule}  {name}{reasons}")
        for name, reason in found.unread:
            self.stdout.write(f"unread   {name}: {reason}")
        counts = Counter(one.verdict for one in found.proposals)
        words = ", ".join(f"{counts[verdict]} {verdict.value}" for verdict in Verdict)
        self.stdout.write(f"{len(found.proposals)} schedules: {words}. {created} jobs created, disabled.")
