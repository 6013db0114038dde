"""Workers, which deliver executions, and the limits that they share."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import JSONField, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Worker(models.Model):
    """A process with a delivery engine. Its heartbeat shows that its executions are still being delivered."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    host = models.CharField(_("host"), max_length=255)
    pid = models.PositiveIntegerField(_("pid"))
    namespace = models.CharField(
        _("PID namespace"),
        max_length=80,
        blank=True,
        db_default="",
        help_text=_("Boot and PID namespace; only processes in the same one can look for each other's pid."),
    )
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    heartbeat_at = models.DateTimeField(_("heartbeat at"), default=timezone.now)
    memory_bytes = models.BigIntegerField(_("memory (bytes)"), null=True)
    phases = models.JSONField(
        _("executions by phase"),
        default=dict,
        db_default=Value({}, JSONField()),
        help_text=_("How many executions it calls now, and how many wait for jitter, a concurrency limit or a retry."),
    )

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["-heartbeat_at"]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class SharedLimit(models.Model):
    """A concurrency limit of a host or a team that workers share. Its row is locked while allocations change."""

    name = models.CharField(_("name"), max_length=300, primary_key=True)

    class Meta:
        verbose_name = _("shared limit")
        verbose_name_plural = _("shared limits")

    def __str__(self) -> str:
        return self.name


class LimitAllocation(models.Model):
    """The number of concurrent calls that one worker may make under a shared limit, and the number that it demands."""

    limit = models.ForeignKey(
        SharedLimit, on_delete=models.CASCADE, related_name="allocations", verbose_name=_("limit")
    )
    worker = models.ForeignKey(Worker, on_delete=models.CASCADE, related_name="+", verbose_name=_("worker"))
    count = models.PositiveIntegerField(_("count"), default=0)
    wanted = models.PositiveIntegerField(_("wanted"), default=0)

    class Meta:
        verbose_name = _("slots of a limit")
        verbose_name_plural = _("slots of limits")
        constraints = [models.UniqueConstraint(fields=["limit", "worker"], name="slots_once")]

    def __str__(self) -> str:
        return f"{self.count} of {self.limit_id}"


class DispatchBudget(models.Model):
    """What the budget of a GitHub credential allows now. Its row is locked while it is used.

    `recent`: dispatches of the last minute by second, `[[Unix time, count]]`. `per_minute`: the rate to which refusals
    have reduced it at `reduced_at`; None for the credential's own. `blocked_until`: GitHub asks to be left alone until
    then. `refusals`: consecutive refusals for a secondary limit.
    """

    credential = models.CharField(_("credential"), max_length=40, primary_key=True)
    recent = models.JSONField(_("recent"), default=list)
    per_minute = models.FloatField(_("dispatches a minute"), null=True)
    reduced_at = models.DateTimeField(_("reduced at"), null=True)
    blocked_until = models.DateTimeField(_("blocked until"), null=True)
    refusals = models.PositiveSmallIntegerField(_("refusals"), default=0)

    class Meta:
        verbose_name = _("budget of a credential")
        verbose_name_plural = _("budgets of credentials")

    def __str__(self) -> str:
        return self.credential
