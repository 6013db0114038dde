"""The API's representation of accounts and tokens."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from accounts.models import ApiToken, LoginSession, Role, User, WebSession
from core.api import openapi
from core.api.timestamps import utc_ms


class UserSerializer(openapi.Representation[User]):
    """A user as the API shows it: never a password or its hash."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    email = serializers.EmailField()
    role = serializers.ChoiceField(Role.choices)
    is_active = serializers.BooleanField()
    created_at = openapi.timestamp()
    updated_at = openapi.timestamp()

    def to_representation(self, user: User) -> dict[str, Any]:
        return {
            "id": str(user.id),
            "username": user.username,
            "email": user.email,
            "role": user.role,
            "is_active": user.is_active,
            "created_at": utc_ms(user.created_at),
            "updated_at": utc_ms(user.updated_at),
        }


class ApiTokenSerializer(openapi.Representation[ApiToken]):
    """A personal token as the API shows it: never the token itself."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    scope = serializers.ChoiceField(ApiToken.Scope.choices)
    beginning = serializers.CharField()
    created_at = openapi.timestamp()
    expires_at = openapi.timestamp()
    last_used_at = openapi.timestamp(allow_null=True)

    def to_representation(self, token: ApiToken) -> dict[str, Any]:
        return {
            "id": str(token.id),
            "name": token.name,
            "scope": token.scope,
            "beginning": token.beginning,
            "created_at": utc_ms(token.created_at),
            "expires_at": utc_ms(token.expires_at),
            "last_used_at": utc_ms(token.last_used_at),
        }


@openapi.example("A token of a pipeline", name="nightly pipeline", scope="write", expires_in_days=90)
class ApiTokenBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    scope = serializers.ChoiceField(ApiToken.Scope.choices, default=ApiToken.Scope.READ)
    expires_in_days = serializers.IntegerField(min_value=1, max_value=730, default=90)


@openapi.example("By username", username="admin", password="the password")
class LoginBody(serializers.Serializer[Any]):
    """A username or an e-mail address, and the password."""

    username = serializers.CharField(required=False, help_text="Username or e-mail address.")
    email = serializers.EmailField(required=False)
    password = serializers.CharField()
    otp = serializers.CharField(required=False, help_text="Code of the second factor, for accounts that need one.")


class FormLoginBody(serializers.Serializer[Any]):
    """OAuth2 password form."""

    username = serializers.CharField()
    password = serializers.CharField()
    otp = serializers.CharField(required=False)


@openapi.example("A user", username="hanako", email="hanako@example.com", password="a long password 1", role="user")
class RegisterBody(serializers.Serializer[Any]):
    username = serializers.CharField(min_length=3, max_length=80)
    email = serializers.EmailField()
    password = serializers.CharField()
    role = serializers.ChoiceField(Role.choices, default=Role.VIEWER)
    is_active = serializers.BooleanField(default=True)


class UserChanges(serializers.Serializer[Any]):
    email = serializers.EmailField(required=False)
    password = serializers.CharField(required=False)
    current_password = serializers.CharField(
        required=False, help_text="For one's own e-mail address or password, some time after the login."
    )
    role = serializers.ChoiceField(Role.choices, required=False)
    is_active = serializers.BooleanField(required=False)


LOGIN_ANSWER = openapi.shape(
    "LoginAnswer",
    success=openapi.flag(),
    message=openapi.text(),
    user=UserSerializer(),
    access_token=openapi.text(),
    refresh_token=openapi.text(),
    token_type=openapi.text(),
)


class SessionSerializer(openapi.Representation[LoginSession | WebSession]):
    """A session of a user. The id of an admin session is a digest; it opens nothing."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(["api", "admin"])
    address = serializers.CharField(allow_null=True)
    created_at = openapi.timestamp()
    expires_at = openapi.timestamp()
    is_current = serializers.BooleanField()

    def to_representation(self, session: LoginSession | WebSession) -> dict[str, Any]:
        return {
            "id": str(session.pk),
            "kind": session.way.lower(),
            "address": session.address,
            "created_at": utc_ms(session.created_at),
            "expires_at": utc_ms(session.expires_at if isinstance(session, LoginSession) else session.expire_date),
            "is_current": session.pk == self.context.get("current"),
        }
