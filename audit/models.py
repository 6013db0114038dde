"""The audit trail: one record for each change."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7


class ChangeRecord(models.Model):
    """One change of a job, an account, a label or a setting: who made it, when, and from which address.

    A record outlives its subject. `at` is UTC. `schedule` is set for jobs only: the fields that decide when the job
    fires, as they are after the change.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subject = models.CharField(_("subject"), max_length=20, default="job", help_text=_("The kind of what was changed."))
    subject_id = models.UUIDField(_("subject id"), null=True)
    name = models.CharField(_("name"), max_length=255)
    at = models.DateTimeField(_("at"), default=timezone.now)
    kind = models.CharField(_("kind"), max_length=30)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )
    by_email = models.CharField(
        _("by email"),
        max_length=254,
        blank=True,
        help_text=_("Who made the change; empty for Cronsched itself."),
    )
    address = models.GenericIPAddressField(
        _("address"), null=True, help_text=_("The client's IP address; empty outside a request.")
    )
    difference = models.JSONField(
        _("difference"), default=dict, help_text=_("Changed fields with their values before and after.")
    )
    schedule = models.JSONField(
        _("schedule"), null=True, help_text=_("The fields that decide when the job fires, after the change.")
    )

    class Meta:
        verbose_name = _("change")
        verbose_name_plural = _("changes")
        ordering = ["-at", "-id"]
        indexes = [
            models.Index(fields=["subject_id", "-at"], name="change_of_subject"),
            models.Index(fields=["-at", "-id"], name="change_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.kind}"
