"""Sends the messages that are due, and tries again those that failed. Nothing that fails here fails an execution."""

from __future__ import annotations

import datetime as dt
import logging
import random
from typing import Any

from django.core.mail import EmailMultiAlternatives
from django.db.models import F
from django.utils import timezone
from slack_sdk.webhook import WebhookClient

from notifications.models import Channel, Message, MessageStatus
from settings_app.models import SlackSettings

log = logging.getLogger("cronsched.delivery")
MOST_ATTEMPTS = 8
_FIRST_BACKOFF = dt.timedelta(seconds=30)
_LONGEST_BACKOFF = dt.timedelta(hours=1)
# While one process sends a message, no other takes it; if that process dies, it is tried again after this time.
_CLAIM = dt.timedelta(minutes=5)
_AT_ONCE = 50


class SendingFailed(Exception):
    """The mail server or Slack did not take a message; the text is the reason, without secrets."""


def send_due() -> int:
    """Send the messages that are due, oldest first; returns how many were taken up."""
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
        _by_email(message) if message.channel == Channel.EMAIL else _by_slack(message)
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
    """How long to wait after a failed attempt: doubling from 30 s to 1 h, with a jitter of a fifth."""
    wait: dt.timedelta = min(_FIRST_BACKOFF * 2 ** (attempt - 1), _LONGEST_BACKOFF)
    return wait * random.uniform(0.8, 1.2)  # noqa: S311


def _by_email(message: Message) -> None:
    # RFC 2369 and RFC 8058: mail programs show a button for it.
    way_out = {"List-Unsubscribe": f"<{message.unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    # The same at each attempt: where our process died before it noted that the server took it, mail programs show one message.
    headers = {"Message-ID": f"<{message.pk}@cronsched>", **(way_out if message.unsubscribe else {})}
    mail = EmailMultiAlternatives(message.subject, message.text, to=[message.recipient], headers=headers)
    if message.html:
        mail.attach_alternative(message.html, "text/html")
    try:
        mail.send()
    except (OSError, ValueError) as exc:
        raise SendingFailed(f"the mail server did not take it: {exc}") from exc


def _by_slack(message: Message) -> None:
    slack = SlackSettings.current()
    if not slack.is_enabled:
        raise SendingFailed("Slack is switched off")
    post_to_slack(slack, message.text, message.blocks)


def post_to_slack(slack: SlackSettings, text: str, blocks: Any = None) -> str:
    """Post a text to the stored webhook; returns Slack's answer. Raises `SendingFailed`."""
    if not slack.webhook_url:
        raise SendingFailed("no webhook URL is stored")
    extra: dict[str, Any] = {"channel": slack.channel} if slack.channel else {}
    if blocks:
        extra["blocks"] = blocks
    try:
        answer = WebhookClient(slack.webhook_url, timeout=10).send_dict({"text": text, **extra})
    except OSError as exc:
        raise SendingFailed(f"Slack cannot be reached: {type(exc).__name__}") from exc
    if answer.status_code != 200:
        raise SendingFailed(f"Slack answered {answer.status_code}: {answer.body[:200]}")
    return str(answer.body)
