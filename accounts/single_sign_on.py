"""Single sign-on by OpenID Connect (OpenID Connect Core 1.0, authorization code with PKCE), through mozilla-django-oidc."""

from __future__ import annotations

import logging
import re
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from accounts import services
from accounts.models import User
from contract.errors import DomainError

log = logging.getLogger("cronsched.sso")


class SingleSignOn(OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """Accounts are found by their verified e-mail address; unknown ones are made with `OIDC_ROLE`, if it is set."""

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        """Only an address that the provider has verified says who somebody is."""
        return bool(claims.get("email")) and claims.get("email_verified") is True

    def filter_users_by_claims(self, claims: dict[str, Any]) -> QuerySet[User]:
        return User.objects.filter(email=str(claims["email"]).lower(), is_active=True)

    def create_user(self, claims: dict[str, Any]) -> User | None:
        """A new account that can log in this way alone; None for one that is inactive, or where none are made."""
        email = str(claims["email"]).lower()
        if not settings.OIDC_ROLE or User.objects.filter(email=email).exists():
            log.warning("single sign-on refused somebody who has no active account")
            return None
        try:
            return services.admit(_username(claims, email), email, settings.OIDC_ROLE)
        except DomainError as exc:
            log.warning("single sign-on could make no account: %s", exc.error)
            return None

    def update_user(self, user: User, claims: dict[str, Any]) -> User:
        """Roles are given here, not there."""
        return user


def _username(claims: dict[str, Any], email: str) -> str:
    wanted = re.sub(r"[^a-z0-9_-]+", "-", str(claims.get("preferred_username") or email.split("@")[0]).lower()).strip(
        "-"
    )[:60]
    name, number = wanted if len(wanted) >= 3 else f"user-{wanted}", 2
    while User.objects.filter(username=name).exists():
        name, number = f"{wanted}-{number}", number + 1
    return name
