from typing import Any

from django.apps import AppConfig


class SettingsAppConfig(AppConfig):
    name = "settings_app"
    verbose_name = "Settings"

    def ready(self) -> None:
        from django.db.models.signals import m2m_changed, post_save

        from audit import listener
        from settings_app import credential_rights
        from settings_app.models import EnvironmentToken, GitHubCredential, Preferences, SlackSettings

        listener.register(SlackSettings, "slack_settings", secrets=["webhook_url"])
        # Preferences are deleted with their account, and that deletion is recorded.
        listener.register(Preferences, "preferences", deletions=False)
        listener.register(EnvironmentToken, "github_token")
        listener.register(
            GitHubCredential,
            "github_credential",
            secrets=["token", "private_key"],
            ignored=["warned_at", "expires_at", "problem"],
        )
        for model in (EnvironmentToken, GitHubCredential):
            post_save.connect(credential_rights.forget, sender=model, dispatch_uid=f"rights of {model.__name__}")
            through: Any = model._meta.get_field("teams").remote_field.through
            m2m_changed.connect(credential_rights.forget, sender=through, dispatch_uid=f"teams of {model.__name__}")
