"""Bearer tokens (RFC 6750) for Django REST framework."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework_simplejwt.tokens import Token

from accounts.models import LoginSession, User
from accounts.tokens import AccessToken, RefreshToken, session_of


class AccessTokenAuthentication(BaseAuthentication):
    """`request.user` is the token's account, `request.auth` its login session."""

    kind: ClassVar[type[Token]] = AccessToken

    def authenticate(self, request: Request) -> tuple[User, LoginSession] | None:
        scheme, _, raw = request.headers.get("Authorization", "").strip().partition(" ")
        if scheme.lower() != "bearer":
            return None
        session = session_of(self.kind, raw.strip())
        return session.user, session

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class RefreshTokenAuthentication(AccessTokenAuthentication):
    """The same with a refresh token, for the one endpoint that takes it."""

    kind = RefreshToken
