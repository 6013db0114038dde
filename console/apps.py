from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConsoleConfig(AppConfig):
    """The admin's pages that belong to no model: dashboard, calendar, import."""

    name = "console"
    verbose_name = _("Console")

    def ready(self) -> None:
        """Let the audit trail hear of changes."""
        from console import audit

        audit.listen()
