"""Events, each user's state of them, and messages by e-mail or Slack (the outbox).

An event is one row for all users; its readers are determined when it is read. `EventState` stores what a user did
with a single event, `Inbox` what a user did with all events up to a time.
"""

from __future__ import annotations

import datetime as dt
from typing import ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from uuid_utils.compat import uuid7

from accounts.models import User
from jobs.models import Job

Interval = tuple[dt.datetime | None, dt.datetime]


class EventType(models.TextChoices):
    SUCCESS = "success", _("Success")
    ERROR = "error", _("Error")
    WARNING = "warning", _("Warning")
    INFO = "info", _("Info")


class Audience(models.TextChoices):
    EVERYONE = "everyone", _("Everyone")
    OWNER_AND_ADMINS = "owner_and_admins", _("The job's owner and admins")


class EventQuerySet(models.QuerySet["Event"]):
    """Queries on events."""

    def newest_first(self) -> Self:
        return self.order_by("-created_at", "-id")

    def meant_for(self, user: User) -> Self:
        """Events whose audience includes the user, since the user's account was created."""
        events = self.filter(created_at__gte=user.created_at)
        return events if user.is_admin else events.filter(Q(audience=Audience.EVERYONE) | Q(owner=user))


class Event(models.Model):
    """Something that happened. `job_id` and `execution_id` may outlive their rows; readers get None then."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    title = models.CharField(_("title"), max_length=100)
    message = models.TextField(_("message"))
    type = models.CharField(_("type"), max_length=10, choices=EventType.choices)
    audience = models.CharField(_("audience"), max_length=20, choices=Audience.choices, default=Audience.EVERYONE)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,
        verbose_name=_("owner"),
    )
    job_id = models.UUIDField(_("job id"), null=True)
    execution_id = models.UUIDField(_("execution id"), null=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects: ClassVar[models.Manager[Event]] = EventQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["-created_at", "-id", "audience", "owner"], name="event_newest"),
            models.Index(fields=["owner"], name="event_owner", condition=Q(owner__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.title


class EventState(models.Model):
    """One user's state of one event."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="event_states", verbose_name=_("user")
    )
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="states", verbose_name=_("event"))
    read_at = models.DateTimeField(_("read at"), null=True)
    is_deleted = models.BooleanField(_("is deleted"), default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "event"], name="event_state_once")]

    def __str__(self) -> str:
        return f"{self.user}: {'deleted' if self.is_deleted else 'read'}"


class Inbox(models.Model):
    """One user's state of all events up to a time.

    `read_marks`: the times of "mark all as read", oldest first; an event is read at the first mark after it.
    `cleared`: disjoint spans [from, to) of deleted events, all of them read.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="inbox")
    read_marks = models.JSONField(_("read marks"), default=list)
    cleared = models.JSONField(_("cleared"), default=list)

    class Meta:
        verbose_name_plural = _("inboxes")

    def __str__(self) -> str:
        return f"inbox of {self.user}"

    @property
    def marks(self) -> list[dt.datetime]:
        return [dt.datetime.fromisoformat(text) for text in self.read_marks]

    def mark(self, moment: dt.datetime) -> None:
        self.read_marks = [*self.read_marks, moment.isoformat()]

    @property
    def spans(self) -> list[Interval]:
        return [
            (dt.datetime.fromisoformat(start) if start else None, dt.datetime.fromisoformat(end))
            for start, end in self.cleared
        ]

    def forget(self, before: dt.datetime) -> None:
        """Drop what says nothing about events since `before`."""
        self.read_marks = [mark.isoformat() for mark in self.marks if mark >= before]
        self.cleared = [span for span in self.cleared if dt.datetime.fromisoformat(span[1]) > before]

    def clear(self, start: dt.datetime | None, end: dt.datetime) -> None:
        """Add a span and merge it with those that it touches."""
        low = dt.datetime.min.replace(tzinfo=dt.UTC)
        joined: list[Interval] = []
        for span_start, span_end in sorted([*self.spans, (start, end)], key=lambda span: span[0] or low):
            if joined and (span_start or low) <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], span_end))
            else:
                joined.append((span_start, span_end))
        self.cleared = [[begin.isoformat() if begin else None, stop.isoformat()] for begin, stop in joined]


class Channel(models.TextChoices):
    EMAIL = "email", _("E-mail")
    SLACK = "slack", _("Slack")


class FailureState(models.Model):
    """The failing period of a job: its latest outcomes, its start, and the alerts sent.

    `recent`: the latest outcomes, newest last, `F` or `S`. `alerted_at`: the time of the alert; None before the job's
    threshold is reached.
    """

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="failure_state")
    recent = models.CharField(_("recent outcomes"), max_length=100, blank=True)
    since = models.DateTimeField(_("failing since"), null=True)
    failures = models.PositiveIntegerField(_("failures"), default=0)
    alerted_at = models.DateTimeField(_("told at"), null=True)
    reminded_at = models.DateTimeField(_("reminded at"), null=True)

    class Meta:
        verbose_name = _("failing job")
        verbose_name_plural = _("failing jobs")
        ordering = ["-since"]
        indexes = [models.Index(fields=["alerted_at"], name="failure_alerted", condition=Q(alerted_at__isnull=False))]

    def __str__(self) -> str:
        return f"{self.job_id}: {self.recent}"


class Acknowledgement(models.Model):
    """Who has last seen that a job fails or flaps, and when. Whether it still counts follows from the later runs."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="acknowledgement")
    at = models.DateTimeField(_("acknowledged at"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("acknowledged by"),
    )

    class Meta:
        verbose_name = _("acknowledgement")
        verbose_name_plural = _("acknowledgements")

    def __str__(self) -> str:
        return f"{self.job_id}: {self.at:%Y-%m-%d %H:%M}"


class MessageStatus(models.TextChoices):
    PENDING = "pending", _("Pending")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")


class Message(models.Model):
    """A message in the outbox: written in the transaction of its event, sent later, retried with backoff.

    `key` identifies event and recipient; a second message with the same key is not stored. The texts of a digest are
    rendered when it is sent, from its alerts.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    key = models.CharField(_("key"), max_length=400, unique=True)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    recipient = models.CharField(
        _("recipient"), max_length=254, blank=True, help_text=_("An e-mail address, or the team's handle for Slack.")
    )
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    text = models.TextField(_("text"))
    unsubscribe = models.TextField(_("unsubscribe link"), blank=True, db_default="")
    blocks = models.JSONField(_("blocks"), null=True, help_text=_("Slack's Block Kit, beside the text."))
    html = models.TextField(_("html"), blank=True)
    alerts = models.JSONField(
        _("alerts"), null=True, help_text=_("The alerts of the message, one line each; a digest keeps the first ones.")
    )
    alert_count = models.PositiveIntegerField(_("number of alerts"), default=0, db_default=0)
    status = models.CharField(_("status"), max_length=10, choices=MessageStatus.choices, default=MessageStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), default=timezone.now)
    last_error = models.TextField(_("last error"), blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    sent_at = models.DateTimeField(_("sent at"), null=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["next_attempt_at"], name="message_due", condition=Q(status="pending")),
            models.Index(fields=["-created_at"], name="message_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} to {self.recipient or 'Slack'}: {self.subject}"
