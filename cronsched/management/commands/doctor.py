"""Check this installation for problems."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand

from cronsched.ops.doctor import examine

_SIGNS = {"ok": "ok  ", "note": "note", "bad": "BAD "}


class Command(BaseCommand):
    help = "Reports problems of this installation and their remedies. Exits with 1 if a finding is bad."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--json", action="store_true", help="Print the findings as JSON.")
        parser.add_argument("--network", action="store_true", help="Also ask the mail server and GitHub.")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = []
        for finding in examine(online=options["network"]):
            findings.append(finding)
            if not options["json"]:
                self.stdout.write(f"{_SIGNS[finding.level]}  {finding.subject}: {finding.words}")
                if finding.remedy:
                    self.stdout.write(f"      -> {finding.remedy}")
        if options["json"]:
            self.stdout.write(json.dumps([finding._asdict() for finding in findings], ensure_ascii=False))
        if any(finding.level == "bad" for finding in findings):
            sys.exit(1)
