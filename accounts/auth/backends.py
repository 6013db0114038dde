"""Password login of the Django admin: the same checks as the API's login."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts import services
from accounts.models import User
from core.api.errors import DomainError
from core.runtime.request_context import address_of


class IdentityBackend(ModelBackend):
    """Accepts username or e-mail address, case-insensitively; failed logins are throttled as in the API."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        if username is None or password is None:
            return None
        try:
            return services.check_credentials(username, password, address=address_of(request))
        except DomainError:
            return None
