from django.apps import AppConfig


class SettingsAppConfig(AppConfig):
    name = "settings_app"
    verbose_name = "Settings"

    def ready(self) -> None:
        from audit import listener
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
