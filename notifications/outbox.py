"""Sends due messages from the outbox, and retries failed ones. An error here never affects an execution."""

from __future__ import annotations

import datetime as dt
import logging
import random

from django.db.models import F
from django.utils import timezone

from notifications import rendering
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


def send_due(channel: str) -> int:
    """Send due messages of a channel, oldest first; returns how many were attempted."""
    due = Message.objects.filter(channel=channel, status=MessageStatus.PENDING, next_attempt_at__lte=timezone.now())
    taken = 0
    with SENDERS[channel]() as send:
        for message in due.order_by("next_attempt_at")[:_AT_ONCE]:
            if _claim(message):
                taken += 1
                try:
                    rendering.draw_if_digest(message)
                    send(message)
                except Exception as exc:
                    _fail(message, exc)
                else:
                    Message.objects.filter(pk=message.pk).update(
                        status=MessageStatus.SENT, sent_at=timezone.now(), last_error=""
                    )
    return taken


def _claim(message: Message) -> bool:
    return bool(
        Message.objects.filter(
            pk=message.pk, status=MessageStatus.PENDING, next_attempt_at=message.next_attempt_at
        ).update(next_attempt_at=timezone.now() + _CLAIM, attempts=F("attempts") + 1)
    )


def _fail(message: Message, exc: Exception) -> None:
    """Plan the next attempt, or give the message up. An error that no channel foresees counts like a refusal."""
    attempt = message.attempts + 1
    over = attempt >= MOST_ATTEMPTS
    foreseen = isinstance(exc, SendingFailed)
    # The text of an unforeseen error may hold a secret, such as the address of a webhook.
    reason = str(exc) if foreseen else f"internal error ({type(exc).__name__}): see the log"
    log.warning(
        "message %s, attempt %d: %s%s", message.pk, attempt, reason, "; given up" if over else "", exc_info=not foreseen
    )
    Message.objects.filter(pk=message.pk).update(
        status=MessageStatus.FAILED if over else MessageStatus.PENDING,
        next_attempt_at=timezone.now() + backoff(attempt),
        last_error=reason,
    )


def backoff(attempt: int) -> dt.timedelta:
    """The backoff after a failed attempt: doubling from 30 s to 1 h, with a jitter of 20 %."""
    wait: dt.timedelta = min(_FIRST_BACKOFF * 2 ** (attempt - 1), _LONGEST_BACKOFF)
    return wait * random.uniform(0.8, 1.2)  # noqa: S311
