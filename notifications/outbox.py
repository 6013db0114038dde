"""Sends due messages from the outbox, and retries failed ones. An error here never affects an execution."""

from __future__ import annotations

import datetime as dt
import logging
import random

from django.db.models import F
from django.utils import timezone

from notifications.channels import SENDERS
from notifications.channels.failure import SendingFailed
from notifications.models import Message, MessageStatus

log = logging.getLogger("cronsched.outbox")
MOST_ATTEMPTS = 8
_FIRST_BACKOFF = dt.timedelta(seconds=30)
_LONGEST_BACKOFF = dt.timedelta(hours=1)
# The lease of a process on the messages that it sends; after its death they are retried when the lease expires.
_CLAIM = dt.timedelta(minutes=5)
_AT_ONCE = 50


def send_due() -> int:
    """Send due messages, oldest first; returns how many were attempted."""
    due = Message.objects.filter(status=MessageStatus.PENDING, next_attempt_at__lte=timezone.now())
    taken = 0
    for message in due.order_by("next_attempt_at")[:_AT_ONCE]:
        if _claim(message):
            _send(message)
            taken += 1
    return taken


def _claim(message: Message) -> bool:
    return bool(
        Message.objects.filter(
            pk=message.pk, status=MessageStatus.PENDING, next_attempt_at=message.next_attempt_at
        ).update(next_attempt_at=timezone.now() + _CLAIM, attempts=F("attempts") + 1)
    )


def _send(message: Message) -> None:
    attempt = message.attempts + 1
    try:
        SENDERS[message.channel](message)
    except SendingFailed as exc:
        over = attempt >= MOST_ATTEMPTS
        log.warning("message %s, attempt %d: %s%s", message.pk, attempt, exc, "; given up" if over else "")
        Message.objects.filter(pk=message.pk).update(
            status=MessageStatus.FAILED if over else MessageStatus.PENDING,
            next_attempt_at=timezone.now() + backoff(attempt),
            last_error=str(exc),
        )
        return
    Message.objects.filter(pk=message.pk).update(status=MessageStatus.SENT, sent_at=timezone.now(), last_error="")


def backoff(attempt: int) -> dt.timedelta:
    """The backoff after a failed attempt: doubling from 30 s to 1 h, with a jitter of 20 %."""
    wait: dt.timedelta = min(_FIRST_BACKOFF * 2 ** (attempt - 1), _LONGEST_BACKOFF)
    return wait * random.uniform(0.8, 1.2)  # noqa: S311
