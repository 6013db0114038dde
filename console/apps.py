from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConsoleConfig(AppConfig):
    """The admin's pages that belong to no single model: dashboard, calendar, import, audit trail."""

    name = "console"
    verbose_name = _("Console")

    def ready(self) -> None:
        from accounts import roles
        from console.addresses import provide_addresses

        # Which records a role sees is decided by the page: `console.admin.changes`.
        roles.everyone_may("audit.view_changerecord")
        provide_addresses()
