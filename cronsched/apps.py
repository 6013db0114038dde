from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ProjectConfig(AppConfig):
    """The project itself, for its management commands."""

    default = True
    name = "cronsched"


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site."""

    default = False
    default_site = "console.site.CronschedAdminSite"
