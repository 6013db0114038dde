"""Set up the installation without serving, for processes that are started separately."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from cronsched.ops import setup


class Command(BaseCommand):
    help = "Migrates the database and creates the first admin if there is none. Safe to repeat."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        setup.prepare_database()
        made = setup.prepare_first_admin()
        self.stdout.write(f"Made the admin {made[0].username}." if made else "Ready; an admin is there already.")
