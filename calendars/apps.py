"""The app of business calendars."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CalendarsConfig(AppConfig):
    name = "calendars"
    verbose_name = _("Business calendars")

    def ready(self) -> None:
        from accounts import roles
        from audit import listener
        from calendars.models import Calendar

        listener.register(Calendar, "calendar")
        roles.everyone_may("calendars.view_calendar")
