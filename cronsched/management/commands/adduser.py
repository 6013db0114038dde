"""Make an account from the command line."""

from __future__ import annotations

import secrets
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts import invitations, services
from accounts.models import Role, User
from core.api.errors import DomainError


class Command(BaseCommand):
    help = "Makes an account and prints the link with which its holder chooses a password, within three days."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("username")
        parser.add_argument("email")
        parser.add_argument("role", nargs="?", default=Role.USER, choices=Role.values)

    def handle(self, *args: Any, **options: Any) -> None:
        fields = {name: options[name] for name in ("username", "email", "role")}
        try:
            # Nobody learns this password; the link replaces it.
            user = services.register({**fields, "password": secrets.token_urlsafe(24)})
        except DomainError as exc:
            raise CommandError(exc.message) from exc
        User.objects.filter(pk=user.pk).update(admin_access=True)
        self.stdout.write(f"Made the account {user.username} with the role {user.role}. Send this link to its holder:")
        self.stdout.write(invitations.make_link(user, by=None))
