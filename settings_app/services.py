"""Operations on settings and preferences. Each is one transaction and raises `DomainError`s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from accounts.models import Role, User
from accounts.services import get_user
from audit import events
from audit.events import Event
from core.api import payload
from core.api.errors import Forbidden, Invalid, invalid_field
from core.db.encryption import encrypted_fields
from core.masking import MASK
from settings_app.models import (
    JOBS_TABLE_COLUMNS,
    PREFERENCE_FLAGS,
    Preferences,
    SlackSettings,
    UiPreferences,
)


@transaction.atomic
def update_slack(data: Mapping[str, Any]) -> SlackSettings:
    """Change the given fields. Raises `Invalid settings` if Slack is enabled without a URL, or for a URL that is not
    https.
    """
    if not SlackSettings.objects.exists():
        SlackSettings.current()
    # The stored URL is read only if needed, so that it can be replaced after its key was lost.
    slack = SlackSettings.objects.select_for_update().defer("webhook_url").get(pk=SlackSettings.SINGLETON)
    if data.get("is_enabled") is not None:
        slack.is_enabled = payload.boolean(data["is_enabled"], "is_enabled")
    # What a token reads is masked: sent back, it changes nothing.
    if "webhook_url" in data and MASK not in str(data["webhook_url"]):
        slack.webhook_url = slack_url(data["webhook_url"])
    if "channel" in data:
        slack.channel = payload.text(data["channel"], "channel", limit=100)
    if slack.is_enabled and not slack.webhook_url:
        raise invalid_field(
            "webhook_url", "Slack needs a webhook URL before it can be enabled.", error="Invalid settings"
        )
    slack.save()
    return slack


def slack_url(value: Any) -> str:
    """Validate a webhook's URL: https with a host; blank is ''."""
    url = payload.text(value, "webhook_url", limit=2048)
    parts = urlsplit(url)
    if url and (parts.scheme != "https" or not parts.hostname or any(char.isspace() for char in url)):
        raise invalid_field(
            "webhook_url", "Write Slack's webhook URL, which begins with https://.", error="Invalid settings"
        )
    return url


def user_of_preferences(user_id: str, *, by: User, verb: str = "access") -> User:
    """The user whose preferences `by` may read or change: the caller or, for admins, any user."""
    if not by.is_admin and user_id.lower() != str(by.pk):
        message = f"Forbidden: Cannot {verb} other users preferences"
        raise Forbidden(message, message)
    return get_user(user_id)


def preferences_of(user: User) -> Preferences:
    """A user's preferences; created with defaults at the first read."""
    return Preferences.objects.get_or_create(user=user)[0]


@transaction.atomic
def update_preferences(user: User, data: Mapping[str, Any]) -> Preferences:
    """Change the given flags and the language of e-mails and of the admin; unknown keys are ignored."""
    preferences_of(user)
    preferences = Preferences.objects.select_for_update().get(user=user)
    for name in PREFERENCE_FLAGS:
        if data.get(name) is not None:
            setattr(preferences, name, payload.boolean(data[name], name))
    if data.get("language") is not None:
        preferences.language = _language(data["language"])
    preferences.save()
    return preferences


def _language(value: Any) -> str:
    known = ["", *dict(settings.LANGUAGES)]
    if value not in known:
        raise invalid_field("language", "'language' must be en, ja, or empty for the installation's.")
    return str(value)


def columns_of(user: User) -> dict[str, bool]:
    """The visible columns of a user's job table."""
    stored = UiPreferences.objects.filter(user=user).values_list("jobs_table_columns", flat=True).first()
    return {**JOBS_TABLE_COLUMNS, **(stored or {})}


@transaction.atomic
def update_columns(user: User, data: Mapping[str, Any]) -> dict[str, bool]:
    """Set the columns: the defaults with the known keys of the request, independent of the stored ones."""
    if data.get("jobs_table_columns") is None:
        raise Invalid(
            "Missing required fields",
            "Send 'jobs_table_columns'.",
            fields={"jobs_table_columns": ["Is required."]},
            missing_fields=["jobs_table_columns"],
        )
    sent = payload.mapping(data["jobs_table_columns"], "jobs_table_columns")
    chosen = {name: payload.boolean(value, name) for name, value in sent.items() if name in JOBS_TABLE_COLUMNS}
    columns = {**JOBS_TABLE_COLUMNS, **chosen}
    UiPreferences.objects.update_or_create(user=user, defaults={"jobs_table_columns": columns})
    return columns


def dashboard_scope_of(user: User) -> str:
    """Whose jobs the user's dashboard shows: `all`, `mine`, or the id of a team."""
    stored = UiPreferences.objects.filter(user=user).values_list("dashboard_scope", flat=True).first()
    return stored or ("mine" if user.role == Role.USER else "all")


def choose_dashboard_scope(user: User, scope: str) -> None:
    """Remember whose jobs the user's dashboard shows."""
    UiPreferences.objects.update_or_create(user=user, defaults={"dashboard_scope": scope[:40]})


def reencrypt() -> int:
    """Encrypt every secret again with the first key; returns how many. Run it after a new key was put first."""
    count = 0
    for model, name in encrypted_fields():
        with transaction.atomic():
            for row in model._default_manager.select_for_update().exclude(**{name: ""}):
                row.save(update_fields=[name])
                count += 1
    events.note(Event.REENCRYPTED, "encryption keys", count=count)
    return count
