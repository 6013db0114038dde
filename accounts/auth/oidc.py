"""Single sign-on (OpenID Connect Core 1.0, authorization code flow with PKCE), by mozilla-django-oidc."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from mozilla_django_oidc import auth as library
from mozilla_django_oidc.auth import OIDCAuthenticationBackend

from accounts import services
from accounts.models import User
from audit import events
from audit.events import Event
from core.api.errors import DomainError
from core.runtime import outbound

_UNUSABLE = (requests.RequestException, jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError)


class WayOut:
    """What the library takes for `requests`: calls by the one way out (`core.runtime.outbound`), without redirects,
    which would carry the client's secret or a user's token to another address.
    """

    @staticmethod
    def get(url: str, headers: Mapping[str, str] | None = None, **_of_library: Any) -> requests.Response:
        return _answer("GET", url, headers=headers)

    @staticmethod
    def post(url: str, data: Any = None, auth: Any = None, **_of_library: Any) -> requests.Response:
        return _answer("POST", url, data=data, auth=auth)


def _answer(method: str, url: str, **request: Any) -> requests.Response:
    answer = outbound.call(method, url, **request)
    if answer.is_redirect:
        raise requests.RequestException(f"{url} redirects: name the address that it leads to in the settings")
    return answer


library.requests = WayOut


class SingleSignOn(OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """Finds accounts by issuer and subject, which are bound at the first sign-on to the account with the verified
    e-mail address; creates unknown ones with the role `OIDC_ROLE`, if it is set.
    """

    def authenticate(self, request: HttpRequest | None, **kwargs: Any) -> User | None:
        """The account of who comes back from the provider; None, with the reason in the trail, if there is none or if
        the provider does not answer as it should.
        """
        try:
            user: User | None = super().authenticate(request, **kwargs)
        except _UNUSABLE as exc:
            events.note(Event.SIGN_ON_REFUSED, "provider", reason=f"its answer cannot be used: {type(exc).__name__}")
            return None
        return user

    def _verify_jws(self, payload: str, key: Any) -> dict[str, Any]:
        """The claims of an ID token: signed, for this client, by this issuer, not expired (OpenID Connect Core 1.0,
        3.1.3.7). The library checks the signature and the nonce only.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                payload,
                key,
                algorithms=[settings.OIDC_RP_SIGN_ALGO],
                audience=settings.OIDC_RP_CLIENT_ID,
                options={"require": ["exp", "aud", "iss", "sub"]},
                leeway=30,
            )
        except jwt.PyJWTError as exc:
            events.note(Event.SIGN_ON_REFUSED, "ID token", reason=str(exc))
            raise SuspiciousOperation("The ID token is not valid.") from exc
        authorized = claims.get("azp", settings.OIDC_RP_CLIENT_ID)
        if authorized != settings.OIDC_RP_CLIENT_ID or not _is_issuer(str(claims["iss"])):
            reason = f"issued by {claims['iss']!r} for {authorized!r}; OIDC_ISSUER names another issuer"
            events.note(Event.SIGN_ON_REFUSED, "ID token", reason=reason[:500])
            raise SuspiciousOperation("The ID token is of another issuer or client.")
        return claims

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The claims about the user, which must be about the subject of the ID token (Core 1.0, 5.3.2)."""
        claims: dict[str, Any] = super().get_userinfo(access_token, id_token, payload)
        if claims.get("sub") != payload["sub"]:
            raise SuspiciousOperation("The claims are about another user than the ID token.")
        return {**claims, "iss": payload["iss"]}

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        """Accept only e-mail addresses that the provider has verified."""
        return bool(claims.get("email")) and claims.get("email_verified") is True

    def filter_users_by_claims(self, claims: dict[str, Any]) -> QuerySet[User]:
        bound = User.objects.filter(single_sign_on_id=_identity(claims))
        if bound.exists():
            return bound.filter(is_active=True)
        unbound = User.objects.filter(single_sign_on_id=None, email_confirmed=True)
        return unbound.filter(email=str(claims["email"]).lower(), is_active=True)

    def create_user(self, claims: dict[str, Any]) -> User | None:
        """Create an account without a password; None if the account is inactive or accounts are not created."""
        email = str(claims["email"]).lower()
        taken = Q(email=email) | Q(single_sign_on_id=_identity(claims))
        if not settings.OIDC_ROLE or User.objects.filter(taken).exists():
            events.note(Event.SIGN_ON_REFUSED, email, reason="no active account")
            return None
        try:
            user = services.admit(_username(claims, email), email, settings.OIDC_ROLE)
        except DomainError as exc:
            events.note(Event.SIGN_ON_REFUSED, email, reason=exc.error)
            return None
        return self.update_user(user, claims)

    def update_user(self, user: User, claims: dict[str, Any]) -> User:
        """Bind the account to the provider's user; roles are managed in Cronsched."""
        if user.single_sign_on_id is None:
            user.single_sign_on_id = _identity(claims)
            user.save(update_fields=["single_sign_on_id"])
        return user


def _is_issuer(issuer: str) -> bool:
    if settings.OIDC_ISSUER:
        return issuer.rstrip("/") == settings.OIDC_ISSUER.rstrip("/")
    return urlsplit(issuer).hostname == urlsplit(settings.OIDC_OP_AUTHORIZATION_ENDPOINT).hostname


def _identity(claims: dict[str, Any]) -> str:
    """Issuer and subject: the only claims that name a user for good (Core 1.0, 5.7). A subject has at most 255
    characters.
    """
    return f"{claims['iss']} {str(claims['sub'])[:255]}"[:600]


def _username(claims: dict[str, Any], email: str) -> str:
    wanted = re.sub(r"[^a-z0-9_-]+", "-", str(claims.get("preferred_username") or email.split("@")[0]).lower()).strip(
        "-"
    )[:60]
    name, number = wanted if len(wanted) >= 3 else f"user-{wanted}", 2
    while User.objects.filter(username=name).exists():
        name, number = f"{wanted}-{number}", number + 1
    return name
