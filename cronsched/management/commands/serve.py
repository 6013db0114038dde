"""Set up and run everything on this machine."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from cronsched.ops import setup, supervisor


class Command(BaseCommand):
    help = "Sets up the installation if needed, then runs API, admin and scheduler together. Ctrl-C stops them."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        os.umask(0o077)
        self._check_port()
        setup.prepare_database()
        made = setup.prepare_first_admin()
        self.stdout.write(self._banner(made[1] if made else None))
        self.stdout.flush()
        os.environ["CRONSCHED_LOG_FILE"] = str(supervisor.fresh_log(settings.LOG_FILE))
        supervisor.run(supervisor.write_config(settings.CRONSCHED_DATA_DIR / "supervisord.conf"))

    def _check_port(self) -> None:
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((settings.HOST, settings.PORT))
        except OSError as exc:
            if exc.errno == errno.EADDRINUSE:
                raise CommandError(
                    f"Port {settings.PORT} is in use: stop what uses it, or set PORT to another one."
                ) from exc
            raise CommandError(f"HOST={settings.HOST} cannot be served: {exc.strerror}.") from exc

    def _banner(self, password: str | None) -> str:
        url = f"http://localhost:{settings.PORT}"
        lines = [
            "",
            "  Cronsched is starting",
            "",
            f"    Admin    {url}/admin/",
            f"    API      {url}/api/v2/health",
            f"    Docs     {url}/docs   {url}/redoc",
            "",
        ]
        if password and settings.CRONSCHED_ADMIN_PASSWORD:
            lines += [
                f"    Log in as {settings.CRONSCHED_ADMIN_USERNAME} with the password in CRONSCHED_ADMIN_PASSWORD."
            ]
        elif password:
            kept = settings.CRONSCHED_DATA_DIR / "admin_password"
            lines += [
                f"    Log in as {settings.CRONSCHED_ADMIN_USERNAME} with the password {password}",
                f"    (shown this once; kept in {kept}, readable by you alone)",
            ]
        else:
            lines += ["    Log in with your account; another password: manage.py changepassword NAME"]
        return "\n".join([*lines, "", "    Ctrl-C stops everything.", ""])
