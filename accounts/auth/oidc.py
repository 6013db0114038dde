"""Single sign-on (OpenID Connect Core 1.0, authorization code flow with PKCE), by mozilla-django-oidc."""

from __future__ import annotations

import logging
import re
from typing import Any

import requests
from django.conf import settings
from django.db.models import QuerySet
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from accounts import services
from accounts.models import User
from core.api.errors import DomainError
from core.runtime import outbound

log = logging.getLogger("cronsched.sso")
# The library calls functions of `requests` that take this process's default.
requests.utils.default_user_agent = lambda name="": outbound.USER_AGENT


class SingleSignOn(OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """Finds accounts by their verified e-mail address; creates unknown ones with the role `OIDC_ROLE`, if it is set."""

    @staticmethod
    def get_settings(attr: str, *args: Any) -> Any:
        """The library's settings; certificates and proxy are those of every call (`core.runtime.outbound`)."""
        if attr == "OIDC_VERIFY_SSL":
            return outbound.ca_bundle()
        if attr == "OIDC_PROXY":
            return outbound.proxies_for(settings.OIDC_OP_TOKEN_ENDPOINT)
        return OIDCAuthenticationBackend.get_settings(attr, *args)

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        """Accept only e-mail addresses that the provider has verified."""
        return bool(claims.get("email")) and claims.get("email_verified") is True

    def filter_users_by_claims(self, claims: dict[str, Any]) -> QuerySet[User]:
        return User.objects.filter(email=str(claims["email"]).lower(), is_active=True)

    def create_user(self, claims: dict[str, Any]) -> User | None:
        """Create an account without a password; None if the account is inactive or accounts are not created."""
        email = str(claims["email"]).lower()
        if not settings.OIDC_ROLE or User.objects.filter(email=email).exists():
            log.warning("single sign-on refused a user without an active account")
            return None
        try:
            return services.admit(_username(claims, email), email, settings.OIDC_ROLE)
        except DomainError as exc:
            log.warning("single sign-on could not create an account: %s", exc.error)
            return None

    def update_user(self, user: User, claims: dict[str, Any]) -> User:
        """Leave the account as it is: roles are managed in Cronsched."""
        return user


def _username(claims: dict[str, Any], email: str) -> str:
    wanted = re.sub(r"[^a-z0-9_-]+", "-", str(claims.get("preferred_username") or email.split("@")[0]).lower()).strip(
        "-"
    )[:60]
    name, number = wanted if len(wanted) >= 3 else f"user-{wanted}", 2
    while User.objects.filter(username=name).exists():
        name, number = f"{wanted}-{number}", number + 1
    return name
