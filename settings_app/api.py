"""Slack settings (`/api/v2/settings/slack`) and preferences (`/api/v2/auth/users/{id}/…`)."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import ApiToken
from accounts.permissions import IsAdmin, NotByApiToken, require_login
from core.api import openapi
from core.api.json import body_of
from core.api.openapi import endpoint, shape
from core.api.timestamps import utc_ms
from core.masking import masked_url
from settings_app import services
from settings_app.models import JOBS_TABLE_COLUMNS, PREFERENCE_FLAGS, Preferences, SlackSettings


class SlackSettingsSerializer(openapi.Representation[SlackSettings]):
    """Slack settings with the URL, because the frontend's form sends it back."""

    id = serializers.UUIDField()
    is_enabled = serializers.BooleanField()
    webhook_url = serializers.CharField(allow_null=True)
    channel = serializers.CharField(allow_null=True)
    created_at = openapi.timestamp()
    updated_at = openapi.timestamp()

    def to_representation(self, slack: SlackSettings) -> dict[str, Any]:
        return {
            "id": str(slack.id),
            "is_enabled": slack.is_enabled,
            "webhook_url": self._url(slack) or None,
            "channel": slack.channel or None,
            "created_at": utc_ms(slack.created_at),
            "updated_at": utc_ms(slack.updated_at),
        }

    def _url(self, slack: SlackSettings) -> str:
        """The URL; API tokens, which may lie about in scripts, do not read it."""
        return masked_url(slack.webhook_url) if self.context.get("masked") else slack.webhook_url


class SlackChanges(serializers.Serializer[Any]):
    is_enabled = serializers.BooleanField(required=False)
    webhook_url = serializers.CharField(required=False, allow_null=True, allow_blank=True, help_text="https only.")
    channel = serializers.CharField(required=False, allow_null=True, allow_blank=True, max_length=100)


class SlackSettingsView(APIView):
    """The Slack settings."""

    permission_classes = (IsAdmin,)

    @endpoint(shape("SlackSettingsAnswer", slack_settings=SlackSettingsSerializer()), 403)
    def get(self, request: Request) -> Response:
        return Response({"slack_settings": _shown(request, SlackSettings.current())})

    @endpoint(
        shape("SlackSettingsUpdated", message=openapi.text(), slack_settings=SlackSettingsSerializer()),
        403,
        body=SlackChanges,
    )
    def put(self, request: Request) -> Response:
        slack = services.update_slack(body_of(request))
        return Response({"message": "Slack settings updated", "slack_settings": _shown(request, slack)})


def _shown(request: Request, slack: SlackSettings) -> dict[str, Any]:
    return SlackSettingsSerializer.of(slack, masked=isinstance(request.auth, ApiToken))


_LANGUAGE = (
    "Language of e-mails and, from the next login on, of the admin: en, ja, or empty for the installation's and the"
    " browser's."
)


class PreferencesSerializer(openapi.Representation[Preferences]):
    """A user's notification preferences."""

    id = serializers.UUIDField()
    user_id = serializers.UUIDField()
    email_on_job_success = serializers.BooleanField()
    email_on_job_failure = serializers.BooleanField()
    email_on_job_disabled = serializers.BooleanField()
    browser_notifications = serializers.BooleanField()
    daily_digest = serializers.BooleanField()
    weekly_report = serializers.BooleanField()
    language = serializers.CharField(help_text=_LANGUAGE)
    created_at = openapi.timestamp()
    updated_at = openapi.timestamp()

    def to_representation(self, preferences: Preferences) -> dict[str, Any]:
        return {
            "id": str(preferences.id),
            "user_id": str(preferences.user_id),
            **{name: getattr(preferences, name) for name in PREFERENCE_FLAGS},
            "language": preferences.language,
            "created_at": utc_ms(preferences.created_at),
            "updated_at": utc_ms(preferences.updated_at),
        }


_FLAGS_BODY = shape(
    "PreferenceChanges",
    **{name: openapi.flag(required=False) for name in PREFERENCE_FLAGS},
    language=serializers.CharField(required=False, help_text=_LANGUAGE),
)
_PREFERENCES = shape("PreferencesAnswer", message=openapi.text(), preferences=PreferencesSerializer())
_COLUMNS = shape("JobsTableColumns", **{name: openapi.flag() for name in JOBS_TABLE_COLUMNS})
_UI_PREFERENCES = shape("UiPreferencesAnswer", preferences=shape("UiPreferences", jobs_table_columns=_COLUMNS))
_UI_BODY = shape(
    "UiPreferencesBody",
    jobs_table_columns=shape(
        "JobsTableColumnsBody", **{name: openapi.flag(required=False) for name in JOBS_TABLE_COLUMNS}
    ),
)


class PreferencesView(APIView):
    """Notification preferences of the caller or, for admins, of any user."""

    permission_classes = (NotByApiToken, IsAuthenticated)

    @endpoint(_PREFERENCES, 403, 404)
    def get(self, request: Request, user_id: str) -> Response:
        user = services.user_of_preferences(user_id, by=require_login(request))
        return _preferences("retrieved", services.preferences_of(user))

    @endpoint(_PREFERENCES, 403, 404, body=_FLAGS_BODY)
    def put(self, request: Request, user_id: str) -> Response:
        user = services.user_of_preferences(user_id, by=require_login(request), verb="update")
        return _preferences("updated", services.update_preferences(user, body_of(request)))


def _preferences(verb: str, preferences: Preferences) -> Response:
    message = f"Notification preferences {verb} successfully"
    return Response({"message": message, "preferences": PreferencesSerializer.of(preferences)})


class UiPreferencesView(APIView):
    """Frontend preferences of the caller or, for admins, of any user."""

    permission_classes = (NotByApiToken, IsAuthenticated)

    @endpoint(_UI_PREFERENCES, 403, 404)
    def get(self, request: Request, user_id: str) -> Response:
        user = services.user_of_preferences(user_id, by=require_login(request))
        return Response({"preferences": {"jobs_table_columns": services.columns_of(user)}})

    @endpoint(_UI_PREFERENCES, 403, 404, body=_UI_BODY)
    def put(self, request: Request, user_id: str) -> Response:
        user = services.user_of_preferences(user_id, by=require_login(request))
        return Response({"preferences": {"jobs_table_columns": services.update_columns(user, body_of(request))}})
