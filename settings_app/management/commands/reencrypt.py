"""Encrypt all stored secrets again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.db.encryption import UndecryptableError
from settings_app.services import reencrypt


class Command(BaseCommand):
    help = (
        "Encrypts every secret in the database with the first of CRONSCHED_ENCRYPTION_KEYS. To "
        "rotate: put a new key first, restart, run this command, then remove the old key."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(f"{reencrypt()} secrets encrypted under the first key.")
        except UndecryptableError as exc:
            raise CommandError(str(exc)) from exc
