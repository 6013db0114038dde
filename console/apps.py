from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ConsoleConfig(AppConfig):
    """Admin pages that span several models: dashboard, calendar, import, audit trail."""

    name = "console"
    verbose_name = _("Console")

    def ready(self) -> None:
        from accounts import roles
        from console.addresses import provide_addresses
        from console.admin.headers import make_headers_once

        # `console.admin.changes` restricts the rows by role.
        roles.everyone_may("audit.view_changerecord")
        provide_addresses()
        make_headers_once()
