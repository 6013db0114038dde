"""Sessions and users: `/api/v2/auth`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers, status
from rest_framework.parsers import FormParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import services
from accounts.auth import api_tokens
from accounts.auth.authentication import RefreshTokenAuthentication
from accounts.auth.jwt import AccessToken, RefreshToken, issue
from accounts.auth.open_sessions import open_sessions
from accounts.models import ApiToken, LoginSession, User
from accounts.permissions import IsAdmin, NotByApiToken, require_login
from accounts.serializers import (
    LOGIN_ANSWER,
    ApiTokenBody,
    ApiTokenSerializer,
    FormLoginBody,
    LoginBody,
    RegisterBody,
    SessionSerializer,
    UserChanges,
    UserSerializer,
)
from core.api import openapi
from core.api.errors import Forbidden, Invalid
from core.api.json import body_of
from core.api.openapi import endpoint, shape
from core.runtime.request_context import address_of


class LoginView(APIView):
    """Log in with JSON."""

    authentication_classes = ()
    permission_classes = ()

    @endpoint(LOGIN_ANSWER, 401, 429, body=LoginBody, public=True)
    def post(self, request: Request) -> Response:
        return log_in(request)


class FormLoginView(LoginView):
    """Log in with an OAuth2 password form (RFC 6749 section 4.3), for Swagger's Authorize."""

    parser_classes = (FormParser,)

    @endpoint(LOGIN_ANSWER, 401, 429, body={"application/x-www-form-urlencoded": FormLoginBody}, public=True)
    def post(self, request: Request) -> Response:
        return log_in(request)


class RefreshView(APIView):
    """A new access token, for the refresh token in the header."""

    authentication_classes = (RefreshTokenAuthentication,)

    @endpoint(
        shape(
            "RefreshAnswer",
            access_token=openapi.text(),
            refresh_token=openapi.text(allow_null=True),
            token_type=openapi.text(),
            expires_in=openapi.whole(),
        )
    )
    def post(self, request: Request) -> Response:
        return Response(
            {
                "access_token": str(issue(AccessToken, _session(request))),
                "refresh_token": None,
                "token_type": "bearer",
                "expires_in": settings.JWT_ACCESS_TOKEN_EXPIRES,
            }
        )


class LogoutView(APIView):
    """End this login's access and refresh tokens."""

    permission_classes = (NotByApiToken, IsAuthenticated)

    @endpoint(shape("LogoutAnswer", success=openapi.flag(), message=openapi.text(), detail=openapi.text()))
    def post(self, request: Request) -> Response:
        services.log_out(_session(request))
        return Response(
            {
                "success": True,
                "message": "Logout successful",
                "detail": "The access and refresh tokens of this login have been revoked.",
            }
        )


class VerifyView(APIView):
    """Whether the access token is valid."""

    @endpoint(
        shape(
            "VerifyAnswer",
            valid=openapi.flag(),
            user_id=openapi.text(),
            username=openapi.text(),
            role=openapi.text(),
            message=openapi.text(),
        )
    )
    def get(self, request: Request) -> Response:
        user = require_login(request)
        return Response(
            {
                "valid": True,
                "user_id": str(user.id),
                "username": user.username,
                "role": user.role,
                "message": "Token is valid",
            }
        )


class MeView(APIView):
    """The caller's own account."""

    @endpoint(UserSerializer)
    def get(self, request: Request) -> Response:
        return Response(UserSerializer.of(require_login(request)))


class RegisterView(APIView):
    """Create an account."""

    permission_classes = (NotByApiToken, IsAdmin)

    @endpoint(
        shape("RegisterAnswer", success=openapi.flag(), message=openapi.text(), user=UserSerializer()),
        403,
        409,
        status=201,
        body=RegisterBody,
    )
    def post(self, request: Request) -> Response:
        user = services.register(body_of(request))
        return Response(
            {"success": True, "message": "User created successfully", "user": UserSerializer.of(user)},
            status.HTTP_201_CREATED,
        )


class UsersView(APIView):
    """All accounts."""

    permission_classes = (IsAdmin,)

    @endpoint(shape("UserList", count=openapi.whole(), users=UserSerializer(many=True)), 403)
    def get(self, request: Request) -> Response:
        users = UserSerializer.of_all(User.objects.all())
        return Response({"count": len(users), "users": users})


class UserView(APIView):
    """One account."""

    permission_classes = (NotByApiToken, IsAuthenticated)

    @endpoint(shape("UserAnswer", user=UserSerializer()), 403, 404)
    def get(self, request: Request, user_id: str) -> Response:
        caller = require_login(request)
        if not caller.is_admin and user_id.lower() != str(caller.pk):
            message = "Forbidden. You can only view your own profile."
            raise Forbidden(message, message)
        return Response({"user": UserSerializer.of(services.get_user(user_id))})

    @endpoint(
        shape(
            "UserUpdated",
            message=openapi.text(),
            updated_fields=serializers.ListField(child=openapi.text()),
            user=UserSerializer(),
        ),
        403,
        404,
        409,
        body=UserChanges,
    )
    def put(self, request: Request, user_id: str) -> Response:
        user, sent = services.update_user(user_id, body_of(request), by=require_login(request), keep=_session(request))
        return Response(
            {"message": "User updated successfully", "updated_fields": sent, "user": UserSerializer.of(user)}
        )

    @endpoint(
        shape(
            "UserDeleted",
            message=openapi.text(),
            deleted_user=shape("DeletedUser", id=openapi.text(), username=openapi.text()),
        ),
        403,
        404,
    )
    def delete(self, request: Request, user_id: str) -> Response:
        IsAdmin().has_permission(request, self)
        user = services.delete_user(user_id, by=require_login(request))
        return Response(
            {
                "message": "User deleted successfully",
                "deleted_user": {"id": str(user.id), "username": user.username},
            }
        )


def log_in(request: Request) -> Response:
    """The answer to a login, sent as JSON or as a form."""
    sent = body_of(request)
    identity, password = sent.get("username") or sent.get("email"), sent.get("password")
    if not identity or not password:
        raise Invalid("Missing credentials", "Send 'username' or 'email', and 'password'.")
    if not isinstance(identity, str) or not isinstance(password, str):
        raise Invalid("Missing credentials", "'username', 'email' and 'password' must be text.")
    if "\x00" in identity + password:
        raise Invalid("Missing credentials", "Names and passwords hold no NUL character.")
    session = services.log_in(identity, password, otp=sent.get("otp"), address=address_of(request))
    return Response(
        {
            "success": True,
            "message": "Login successful",
            "user": UserSerializer.of(session.user),
            "access_token": str(issue(AccessToken, session)),
            "refresh_token": str(issue(RefreshToken, session)),
            "token_type": "bearer",
        }
    )


class ApiTokensView(APIView):
    """The caller's own personal tokens, for scripts and CI."""

    permission_classes = (NotByApiToken, IsAuthenticated)

    @endpoint(shape("ApiTokens", tokens=ApiTokenSerializer(many=True)))
    def get(self, request: Request) -> Response:
        tokens = ApiToken.objects.filter(user=require_login(request))
        return Response({"tokens": [ApiTokenSerializer.of(token) for token in tokens]})

    @endpoint(
        shape("ApiTokenMade", message=openapi.text(), token=openapi.text(), details=ApiTokenSerializer()),
        403,
        409,
        body=ApiTokenBody,
        status=201,
    )
    def post(self, request: Request) -> Response:
        data = body_of(request)
        made, raw = api_tokens.make(
            require_login(request), data.get("name"), data.get("scope", "read"), data.get("expires_in_days", 90)
        )
        body = {
            "message": "Copy the token now: it is not shown again.",
            "token": raw,
            "details": ApiTokenSerializer.of(made),
        }
        return Response(body, status.HTTP_201_CREATED)


class ApiTokenView(APIView):
    """One of the caller's own personal tokens."""

    permission_classes = (NotByApiToken, IsAuthenticated)

    @endpoint(shape("ApiTokenRevoked", message=openapi.text(), details=ApiTokenSerializer()), 403, 404)
    def delete(self, request: Request, token_id: str) -> Response:
        token = api_tokens.revoke(token_id, by=require_login(request))
        return Response({"message": "Token revoked.", "details": ApiTokenSerializer.of(token)})


def _session(request: Request) -> LoginSession:
    session: Any = request.auth
    assert isinstance(session, LoginSession)
    return session


class SessionsView(APIView):
    """The caller's own sessions: logins of the API, and sessions of the admin."""

    permission_classes = (NotByApiToken, IsAuthenticated)

    @endpoint(shape("Sessions", sessions=SessionSerializer(many=True)))
    def get(self, request: Request) -> Response:
        current = request.auth.pk if isinstance(request.auth, LoginSession) else None
        found = open_sessions(require_login(request))
        return Response({"sessions": SessionSerializer.of_all(found, current=current)})


class SessionView(APIView):
    """One of the caller's own sessions."""

    permission_classes = (NotByApiToken, IsAuthenticated)

    @endpoint(shape("SessionEnded", message=openapi.text()), 403, 404)
    def delete(self, request: Request, session_id: str) -> Response:
        services.end_session(session_id, by=require_login(request))
        return Response({"message": "Session ended."})
