from importlib import import_module

from django.apps import AppConfig
from django.conf import settings
from django.contrib.admin import apps as admin_apps

from core.runtime import tracing


class ProjectConfig(AppConfig):
    """The project itself, for its management commands."""

    default = True
    name = "cronsched"

    def ready(self) -> None:
        tracing.start()
        if settings.EXECUTION_BACKEND == "celery":
            import_module("cronsched.celery")


class AdminConfig(admin_apps.AdminConfig):
    """Django's admin with our site."""

    default = False
    default_site = "console.site.CronschedAdminSite"
