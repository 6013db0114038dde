"""E-mail: to whom, with what, and what a failing mail server costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from jobs.models import Job
from notifications.models import Message, MessageStatus
from notifications.outbox import MOST_ATTEMPTS, send_due
from notifications.routing import notify_outcomes
from tests.support.executions import finished

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailing(settings: Any) -> None:
    settings.MAIL_ENABLED = True


class TestEmail:
    def test_failures_go_to_the_jobs_addresses(self, make_job: Callable[..., Job], mailing: None) -> None:
        job = make_job(enable_email_notifications=True, notification_emails=["a@example.com", "b@example.com"])
        notify_outcomes([finished(job), finished(job, ok=True)])
        assert send_due("email") == 2
        assert sorted(message.to[0] for message in mail.outbox) == ["a@example.com", "b@example.com"]
        assert mail.outbox[0].subject == "[Cronsched] Nightly failed"
        assert "Webhook returned status 500" in mail.outbox[0].body
        assert f"/jobs/{job.pk}/edit" in mail.outbox[0].body
        assert send_due("email") == 0

    def test_successes_where_the_job_asks(self, make_job: Callable[..., Job], mailing: None) -> None:
        job = make_job(enable_email_notifications=True, notification_emails=["a@example.com"], notify_on_success=True)
        notify_outcomes([finished(job, ok=True)])
        send_due("email")
        assert [message.subject for message in mail.outbox] == ["[Cronsched] Nightly completed"]

    def test_nothing_while_the_jobs_mail_or_all_mail_is_off(self, make_job: Callable[..., Job], settings: Any) -> None:
        settings.MAIL_ENABLED = True
        notify_outcomes([finished(make_job())])
        settings.MAIL_ENABLED = False
        notify_outcomes(
            [finished(make_job(name="x", enable_email_notifications=True, notification_emails=["a@example.com"]))]
        )
        assert not Message.objects.exists()

    def test_names_are_escaped_and_add_no_header(self, make_job: Callable[..., Job], mailing: None) -> None:
        job = make_job(
            name="<img src=x>",
            enable_email_notifications=True,
            notification_emails=["a@example.com"],
        )
        # A name from before line breaks were refused.
        job.name += "\nBcc: evil@example.com"
        job.save(update_fields=["name"])
        notify_outcomes([finished(job, error="<script>alert(1)</script>")])
        send_due("email")
        message = mail.outbox[0]
        assert message.subject == "[Cronsched] <img src=x> Bcc: evil@example.com failed"
        html = str(message.alternatives[0][0])
        assert "<script>" not in html
        assert "<img" not in html
        assert "<script>alert(1)</script>" in message.body

    def test_secrets_of_the_target_are_masked(self, make_job: Callable[..., Job], mailing: None) -> None:
        job = make_job(
            target_url="https://user:password1@hooks.example.com/x?token=secret1",
            enable_email_notifications=True,
            notification_emails=["a@example.com"],
        )
        notify_outcomes([finished(job)])
        send_due("email")
        sent = mail.outbox[0].body + str(mail.outbox[0].alternatives[0][0])
        assert "hooks.example.com" in sent
        assert "password1" not in sent
        assert "secret1" not in sent

    def test_a_mail_server_that_fails_is_tried_again_and_given_up(
        self, make_job: Callable[..., Job], mailing: None, settings: Any
    ) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        job = make_job(enable_email_notifications=True, notification_emails=["a@example.com"])
        notify_outcomes([finished(job)])
        moment = timezone.now() + dt.timedelta(seconds=1)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            with time_machine.travel(moment, tick=False):
                assert send_due("email") == 1
            message = Message.objects.get()
            assert message.attempts == attempt
            moment += dt.timedelta(hours=2)
        assert message.status == MessageStatus.FAILED
        assert "refused" in message.last_error


def test_the_longest_address_has_a_key(make_job: Callable[..., Job], mailing: None) -> None:
    address = "a" * 60 + "@" + ".".join(["b" * 60] * 3) + ".com"
    job = make_job(enable_email_notifications=True, notification_emails=[address])
    notify_outcomes([finished(job)])
    assert len(Message.objects.get().key) <= 400
