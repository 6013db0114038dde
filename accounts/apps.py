from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Accounts"

    def ready(self) -> None:
        from accounts.auth import web_logins
        from accounts.models import User
        from audit import listener

        listener.register(User, "user", secrets=["password"], ignored=["last_login", "access_version"])
        web_logins.connect()
