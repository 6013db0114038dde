"""Access and refresh tokens: HS256 JWTs (RFC 7519) that name their login session in the claim `sid`."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import TypeVar
from uuid import UUID

from django.conf import settings
from django.utils.crypto import constant_time_compare
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts.models import LoginSession
from core.api.errors import Unauthorized

T = TypeVar("T", bound=Token)


def issue(kind: type[T], session: LoginSession) -> T:
    """A new token of a login session: claims `sub`, `role`, `email`, `iat`, `exp`, `type`, `jti`, `sid`."""
    token = kind()
    token["sub"] = str(session.user_id)
    token["role"] = session.user.role
    token["email"] = session.user.email
    token["sid"] = str(session.id)
    return token


def session_of(kind: type[Token], raw: str) -> LoginSession:
    """The valid login session that a token belongs to, with its user.

    Account state and role are read from the database at each request. Raises `Unauthorized` for a token that is
    malformed, forged, expired, of the other type or revoked, and for a missing or inactive account.
    """
    try:
        token = _read(kind, raw)
        sid = UUID(str(token["sid"]))
    except (TokenError, KeyError, ValueError, TypeError, OverflowError) as exc:
        raise _invalid("The token is invalid or has expired. Log in again.") from exc
    session = LoginSession.objects.select_related("user").filter(pk=sid).first()
    if session is None or str(session.user_id) != token.get("sub") or not _is_tied(session):
        raise _invalid("The token has been revoked. Log in again.")
    if settings.SECOND_FACTOR == "required" and session.user.is_staff and not session.second_factor:
        raise _invalid("The second factor is required now. Log in again with its code.")
    if not session.user.is_active:
        raise _invalid("Account is inactive. Contact administrator.")
    return session


def _read(kind: type[Token], raw: str) -> Token:
    """A token that was signed with the present key or a former one. Raises `TokenError`."""
    try:
        return kind(raw)  # type: ignore[arg-type]
    except TokenError:
        for key in settings.JWT_SECRET_KEY_FALLBACKS:
            with suppress(TokenError):
                return _signed_with(key, kind)(raw)  # type: ignore[arg-type]
        raise


@lru_cache(maxsize=16)
def _signed_with(key: str, kind: type[Token]) -> type[Token]:
    backend = TokenBackend(api_settings.ALGORITHM, key, leeway=api_settings.LEEWAY)
    return type(kind.__name__, (kind,), {"_token_backend": backend})


def _is_tied(session: LoginSession) -> bool:
    """Whether the login was made with the account's present password, under the present or a former secret key."""
    user = session.user
    return any(
        constant_time_compare(session.auth_hash, one)
        for one in (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    )


def _invalid(message: str) -> Unauthorized:
    return Unauthorized("Invalid token", message)


__all__ = ["AccessToken", "RefreshToken", "issue", "session_of"]
