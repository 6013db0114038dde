"""The lease of the leader, its history, incidents and requests to the leader."""

from __future__ import annotations

import datetime as dt
import uuid

from django.conf import settings
from django.db import models
from django.db.models import JSONField, Q, Value
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

# The heartbeat is written every second. If it is older than this, nobody leads and another process may take over.
HEARTBEAT_FRESH = dt.timedelta(seconds=4)


class Leadership(models.Model):
    """One row: the process that leads, and its heartbeat. Every change of leader increments `fencing_token`."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    fencing_token = models.BigIntegerField(_("fencing token"), default=0)
    leader_id = models.CharField(
        _("leader id"), max_length=300, blank=True, help_text=_("host:pid of the leader; empty after it stepped down.")
    )
    acquired_at = models.DateTimeField(_("acquired at"), null=True)
    heartbeat_at = models.DateTimeField(_("heartbeat at"), null=True)
    has_lock = models.BooleanField(
        _("has lock"), default=False, help_text=_("Whether it holds the lock file, which is released at its death.")
    )
    schedules = models.PositiveIntegerField(_("schedules"), default=0, help_text=_("Entries on the clock."))
    last_resync_at = models.DateTimeField(_("last resync at"), null=True)
    settings = models.JSONField(
        _("settings"),
        default=dict,
        db_default=Value({}, JSONField()),
        editable=False,
        help_text=_("The leader's settings without secrets, for the doctor."),
    )

    class Meta:
        verbose_name = _("leadership")
        verbose_name_plural = _("leadership")
        constraints = [models.CheckConstraint(name="leadership_is_one_row", condition=Q(id=1))]

    def __str__(self) -> str:
        return self.leader_id or "no leader"

    @classmethod
    def current(cls) -> Leadership:
        """The current row; an empty one before the first leader. Ages are by the database's clock, as the lease is."""
        return cls.objects.annotate(database_now=Now()).filter(pk=1).first() or cls()

    @property
    def heartbeat_age(self) -> float | None:
        """Seconds since the heartbeat; None if there was none."""
        if self.heartbeat_at is None:
            return None
        now: dt.datetime = getattr(self, "database_now", None) or timezone.now()
        return (now - self.heartbeat_at).total_seconds()

    @property
    def is_live(self) -> bool:
        """Whether a process leads now."""
        age = self.heartbeat_age
        return bool(self.leader_id) and age is not None and age < HEARTBEAT_FRESH.total_seconds()


class LeaderTerm(models.Model):
    """One period of leadership. `ended_at` is its last heartbeat, written by the next leader; None while the period
    lasts.
    """

    fencing_token = models.BigIntegerField(_("fencing token"), primary_key=True)
    leader_id = models.CharField(_("leader id"), max_length=300)
    started_at = models.DateTimeField(_("started at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)

    class Meta:
        verbose_name = _("leader's term")
        verbose_name_plural = _("leaders' terms")
        ordering = ["-fencing_token"]
        indexes = [models.Index(fields=["started_at"], name="leader_term_start")]

    def __str__(self) -> str:
        return f"{self.leader_id} ({self.fencing_token})"


class Incident(models.Model):
    """A problem of the scheduler, from its first detection until its end."""

    class Kind(models.TextChoices):
        NO_LEADER = "no_leader", _("No scheduler leads")
        LAGGING = "lagging", _("The scheduler is late")
        BACKLOG = "backlog", _("The backlog grows")

    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices, primary_key=True)
    since = models.DateTimeField(_("since"))

    class Meta:
        verbose_name = _("trouble")
        verbose_name_plural = _("troubles")

    def __str__(self) -> str:
        return self.kind


class Resync(models.Model):
    """A requested full reconciliation, and its result."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    requested_at = models.DateTimeField(_("requested at"), default=timezone.now)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+", verbose_name=_("requested by")
    )
    answered_at = models.DateTimeField(_("answered at"), null=True)
    result = models.JSONField(_("result"), null=True, help_text=_("Counts, as the API answers them."))

    class Meta:
        verbose_name = _("resync")
        verbose_name_plural = _("resyncs")
        ordering = ["-requested_at"]

    def __str__(self) -> str:
        return f"resync of {self.requested_at:%Y-%m-%d %H:%M:%S}"
