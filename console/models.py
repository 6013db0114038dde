"""What a user keeps about the admin's pages."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _


class SavedView(models.Model):
    """A filtered list that a user has given a name. `query`: the list's query string."""

    class List(models.TextChoices):
        JOBS = "jobs_job", _("Jobs")
        EXECUTIONS = "executions_execution", _("Executions")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views", verbose_name=_("user")
    )
    list = models.CharField(_("list"), max_length=40, choices=List.choices)
    name = models.CharField(_("name"), max_length=60)
    query = models.CharField(_("query"), max_length=1000, blank=True)

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["user", "list", "name"], name="saved_view_name_once")]

    def __str__(self) -> str:
        return self.name
