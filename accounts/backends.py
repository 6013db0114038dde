"""How the Django admin checks a name and a password: the same way as the API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts import services
from accounts.models import User
from contract.caller import address_of
from contract.errors import DomainError


class IdentityBackend(ModelBackend):
    """Username or e-mail, without case, with the API's throttle on guesses."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        try:
            return services.check_credentials(username, password, address=address_of(request))
        except DomainError:
            return None
