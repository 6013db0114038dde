from typing import Any

from django.apps import AppConfig


class SettingsAppConfig(AppConfig):
    name = "settings_app"
    verbose_name = "Settings"

    def ready(self) -> None:
        from django.db.models.signals import m2m_changed, post_delete, post_save

        from audit import listener
        from settings_app import credential_rights, sent_secrets, web_language
        from settings_app.models import (
            EnvironmentToken,
            GitHubCredential,
            Preferences,
            Secret,
            SlackSettings,
            WebhookCredential,
        )

        listener.register(SlackSettings, "slack_settings", secrets=["webhook_url"], creations=False)
        # Preferences are deleted with their account, and that deletion is recorded.
        listener.register(Preferences, "preferences", creations=False, deletions=False)
        listener.register(EnvironmentToken, "github_token", secrets=["webhook_secret"], creations=False)
        listener.register(
            GitHubCredential,
            "github_credential",
            secrets=["token", "private_key", "webhook_secret"],
            ignored=["warned_at", "expires_at", "problem"],
        )
        listener.register(Secret, "secret", secrets=["value"], ignored=["last_used_at"])
        listener.register(
            WebhookCredential,
            "webhook_credential",
            secrets=["secret", "previous_secret", "client_key"],
            ignored=["last_used_at"],
        )
        web_language.connect()
        forgetting: list[tuple[Any, Any]] = [
            (EnvironmentToken, credential_rights.forget),
            (GitHubCredential, credential_rights.forget),
            (Secret, sent_secrets.forget),
            (WebhookCredential, sent_secrets.forget),
        ]
        for model, forget in forgetting:
            post_save.connect(forget, sender=model, dispatch_uid=f"rights of {model.__name__}")
            post_delete.connect(forget, sender=model, dispatch_uid=f"end of {model.__name__}")
            through: Any = model._meta.get_field("teams").remote_field.through
            m2m_changed.connect(forget, sender=through, dispatch_uid=f"teams of {model.__name__}")
