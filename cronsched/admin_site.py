"""The admin under our name."""

from __future__ import annotations

from django.contrib import admin


class CronschedAdminSite(admin.AdminSite):
    """Django's admin; only accounts with the role admin enter."""

    site_header = "Cronsched"
    site_title = "Cronsched"
    index_title = "Scheduler"
    site_url = "/docs"
