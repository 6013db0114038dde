"""The outbox: retries with backoff, and each channel for itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.mail.backends import locmem
from django.utils import timezone

from accounts.models import User
from notifications import outbox
from notifications.models import Message, MessageStatus
from notifications.outbox import MOST_ATTEMPTS, backoff, send_due
from settings_app.models import SlackSettings

pytestmark = pytest.mark.django_db


def test_backoff_doubles_up_to_an_hour() -> None:
    seconds = [backoff(attempt).total_seconds() for attempt in range(1, 12)]
    assert 24 <= seconds[0] <= 36
    assert all(2880 <= value <= 4320 for value in seconds[-3:])


def queued(channel: str, count: int = 1) -> list[Message]:
    return [
        Message.objects.create(
            key=f"{channel} {number}", channel=channel, recipient="a@example.com", subject="s", text="t"
        )
        for number in range(count)
    ]


def test_what_cannot_be_sent_is_given_up_whatever_the_error(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    bad, good = queued("slack", 2)
    sent: list[Any] = []

    @contextmanager
    def session() -> Iterator[Callable[[Message], None]]:
        def send(message: Message) -> None:
            if message.pk == bad.pk:
                raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "https://hooks.example.com/secret")
            sent.append(message.pk)

        yield send

    monkeypatch.setitem(outbox.SENDERS, "slack", session)
    moment = timezone.now()
    for _ in range(MOST_ATTEMPTS):
        moment += dt.timedelta(hours=2)
        with time_machine.travel(moment, tick=False):
            send_due("slack")
    bad.refresh_from_db()
    assert (bad.status, bad.attempts) == (MessageStatus.FAILED, MOST_ATTEMPTS)
    assert bad.last_error == "internal error (UnicodeDecodeError): see the log"
    assert sent == [good.pk]


def test_a_lost_key_holds_up_no_email(settings: Any, make_user: Callable[..., User]) -> None:
    settings.MAIL_ENABLED = True
    SlackSettings.objects.create(is_enabled=True, webhook_url="https://hooks.example.com/x")
    SlackSettings.objects.update(webhook_url="enc1:not of this key")
    queued("slack", 60)
    queued("email")
    send_due("slack")
    assert send_due("email") == 1
    assert len(mail.outbox) == 1
    assert Message.objects.filter(channel="slack", attempts=1).count() == 50


def test_one_connection_carries_several_mails(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr(locmem.EmailBackend, "open", lambda self: opened.append(self))
    queued("email", 3)
    assert send_due("email") == 3
    assert len({id(one) for one in opened}) == 1
