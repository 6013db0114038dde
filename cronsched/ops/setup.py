"""Making an installation ready: database, first admin."""

from __future__ import annotations

import os
import secrets

from django.conf import settings
from django.core.management import call_command

from accounts.models import User
from accounts.services import ensure_first_admin
from core.api.errors import DomainError
from cronsched.environment import SettingError
from cronsched.ops.backups import CannotBackUp, check_restored


def prepare_database() -> None:
    """Bring the tables up to date. Raises `SettingError` after a restore that was interrupted."""
    try:
        check_restored()
    except CannotBackUp as exc:
        raise SettingError(str(exc)) from exc
    call_command("migrate", verbosity=0, interactive=False)


def prepare_first_admin() -> tuple[User, str] | None:
    """Make the first admin if there is none; returns the account and its password.

    A password that is not set is generated, and kept in the data directory with mode 0600.
    """
    password = settings.CRONSCHED_ADMIN_PASSWORD or secrets.token_urlsafe(15)
    try:
        admin = ensure_first_admin(settings.CRONSCHED_ADMIN_USERNAME, settings.CRONSCHED_ADMIN_EMAIL, password)
    except DomainError as exc:
        names = {"username": "CRONSCHED_ADMIN_USERNAME", "email": "CRONSCHED_ADMIN_EMAIL"}
        variable = next((names[field] for field in exc.fields if field in names), "CRONSCHED_ADMIN_PASSWORD")
        raise SettingError(f"{variable} cannot be used for the first admin: {exc.message}") from exc
    if admin is None:
        return None
    if not settings.CRONSCHED_ADMIN_PASSWORD:
        path = settings.CRONSCHED_DATA_DIR / "admin_password"
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(password + "\n")
    return admin, password
