"""The app of windows."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WindowsConfig(AppConfig):
    name = "windows"
    verbose_name = _("Windows")

    def ready(self) -> None:
        from accounts import roles
        from audit import listener
        from windows.models import Window

        listener.register(Window, "window")
        roles.everyone_may("windows.view_window")
