"""Bearer tokens (RFC 6750) for Django REST framework."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import Token

from accounts.auth import api_tokens
from accounts.auth.jwt import AccessToken, RefreshToken, session_of
from accounts.models import ApiToken, LoginSession, User


class AccessTokenAuthentication(BaseAuthentication):
    """Authentication by access token or API token: sets `request.user` and `request.auth` (login session or API
    token).
    """

    kind: ClassVar[type[Token]] = AccessToken

    def authenticate(self, request: Request) -> tuple[User, LoginSession | ApiToken] | None:
        scheme, _, rest = request.headers.get("Authorization", "").strip().partition(" ")
        raw = rest.strip()
        if scheme.lower() != "bearer":
            return None
        if raw.startswith(api_tokens.PREFIX) and self.kind is AccessToken:
            token = api_tokens.used(raw, request.method or "")
            return token.user, token
        session = session_of(self.kind, raw)
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class RefreshTokenAuthentication(AccessTokenAuthentication):
    """The same for refresh tokens, used by one endpoint."""

    kind = RefreshToken
