"""Messages by e-mail and Slack: who gets which, sent once, tried again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from executions.models import Execution
from executions.recorder import Finished, store
from executions.targets import Outcome
from jobs.models import Job
from jobs.services import pause_expired
from notifications.delivery import MOST_ATTEMPTS, backoff, send_due
from notifications.events import forget_old, remind_of_ending_jobs, tell_of_executions
from notifications.messages import escaped, mention
from notifications.models import Event, Message, MessageStatus
from settings_app.models import SlackSettings
from tests.target import Target

pytestmark = pytest.mark.django_db


def finished(
    job: Job, *, ok: bool = False, manual: bool = False, error: str = "Webhook returned status 500"
) -> Finished:
    now = timezone.now()
    return Finished(
        uuid4(),
        uuid4(),
        job.pk,
        job.name,
        manual,
        now,
        now,
        str(job.target),
        Outcome(ok, error="" if ok else error),
        [],
    )


@pytest.fixture
def mailing(settings: Any) -> None:
    settings.MAIL_ENABLED = True


@pytest.fixture
def slack(target: Target) -> str:
    SlackSettings.objects.create(is_enabled=True, webhook_url=target.url + "/slack", channel="#qa")
    return "/slack"


class TestEmail:
    def test_failures_go_to_the_jobs_addresses(self, make_job: Callable[..., Job], mailing: None) -> None:
        job = make_job(enable_email_notifications=True, notification_emails=["a@example.com", "b@example.com"])
        tell_of_executions(None, [finished(job), finished(job, ok=True)])
        assert send_due() == 2
        assert sorted(message.to[0] for message in mail.outbox) == ["a@example.com", "b@example.com"]
        assert mail.outbox[0].subject == "[Cronsched] Nightly failed"
        assert "Webhook returned status 500" in mail.outbox[0].body
        assert f"/jobs/{job.pk}/edit" in mail.outbox[0].body
        assert send_due() == 0

    def test_successes_where_the_job_asks(self, make_job: Callable[..., Job], mailing: None) -> None:
        job = make_job(enable_email_notifications=True, notification_emails=["a@example.com"], notify_on_success=True)
        tell_of_executions(None, [finished(job, ok=True)])
        send_due()
        assert [message.subject for message in mail.outbox] == ["[Cronsched] Nightly completed"]

    def test_nothing_while_the_jobs_mail_or_all_mail_is_off(self, make_job: Callable[..., Job], settings: Any) -> None:
        settings.MAIL_ENABLED = True
        tell_of_executions(None, [finished(make_job())])
        settings.MAIL_ENABLED = False
        tell_of_executions(
            None, [finished(make_job(name="x", enable_email_notifications=True, notification_emails=["a@example.com"]))]
        )
        assert not Message.objects.exists()

    def test_names_are_escaped_and_add_no_header(self, make_job: Callable[..., Job], mailing: None) -> None:
        job = make_job(
            name="<img src=x>\nBcc: evil@example.com",
            enable_email_notifications=True,
            notification_emails=["a@example.com"],
        )
        tell_of_executions(None, [finished(job, error="<script>alert(1)</script>")])
        send_due()
        message = mail.outbox[0]
        assert message.subject == "[Cronsched] <img src=x> Bcc: evil@example.com failed"
        html = str(message.alternatives[0][0])
        assert "<script>" not in html
        assert "<img" not in html
        assert "<script>alert(1)</script>" in message.body

    def test_a_mail_server_that_fails_is_tried_again_and_given_up(
        self, make_job: Callable[..., Job], mailing: None, settings: Any
    ) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        job = make_job(enable_email_notifications=True, notification_emails=["a@example.com"])
        tell_of_executions(None, [finished(job)])
        moment = timezone.now() + dt.timedelta(seconds=1)
        for attempt in range(1, MOST_ATTEMPTS + 1):
            with time_machine.travel(moment, tick=False):
                assert send_due() == 1
            message = Message.objects.get()
            assert message.attempts == attempt
            moment += dt.timedelta(hours=2)
        assert message.status == MessageStatus.FAILED
        assert "refused" in message.last_error


class TestSlack:
    def test_an_ended_job_is_told_with_the_teams_mention_and_a_link(
        self, make_job: Callable[..., Job], slack: str, target: Target
    ) -> None:
        job = make_job(name="<!channel> & co")
        job.pic_team.slack_handle = "@S0123ABC"
        job.pic_team.save()
        Job.objects.update(end_date="2024-01-01")
        pause_expired()
        assert send_due() == 1
        sent = target.arrivals[0].json
        assert sent["channel"] == "#qa"
        assert sent["text"].startswith("<!subteam^S0123ABC> Job *&lt;!channel&gt; &amp; co* was paused")
        assert f"/jobs/{job.pk}/edit|" in sent["text"]
        assert send_due() == 0

    def test_nothing_while_slack_is_off(self, make_job: Callable[..., Job]) -> None:
        make_job()
        Job.objects.update(end_date="2024-01-01")
        pause_expired()
        assert not Message.objects.exists()

    def test_what_slack_refuses_is_tried_again(self, make_job: Callable[..., Job], target: Target) -> None:
        SlackSettings.objects.create(is_enabled=True, webhook_url=target.url + "/status/500")
        make_job()
        Job.objects.update(end_date="2024-01-01")
        pause_expired()
        send_due()
        message = Message.objects.get()
        assert (message.status, message.attempts) == (MessageStatus.PENDING, 1)
        assert message.last_error == "Slack answered 500: the reason"
        assert message.next_attempt_at > timezone.now()

    @pytest.mark.parametrize(
        ("handle", "shown"),
        [
            ("@S0123ABC", "<!subteam^S0123ABC>"),
            ("U0123ABC", "<@U0123ABC>"),
            ("@qa", "@qa"),
            ("<!here>", "&lt;!here&gt;"),
        ],
    )
    def test_mentions(self, handle: str, shown: str) -> None:
        assert mention(handle) == shown
        assert escaped("a<b>&c") == "a&lt;b&gt;&amp;c"


class TestEvents:
    @pytest.mark.parametrize(("setting", "told"), [("all", [True, True]), ("manual", [True]), ("none", [])])
    def test_which_successes_are_told(
        self, make_job: Callable[..., Job], settings: Any, setting: str, told: list[bool]
    ) -> None:
        settings.NOTIFY_ON_SUCCESS = setting
        job = make_job()
        tell_of_executions(None, [finished(job, ok=True), finished(job, ok=True, manual=True), finished(job)])
        assert Event.objects.filter(type="success").count() == len(told)
        assert Event.objects.filter(type="error").count() == 1

    def test_jobs_that_end_soon_are_told_once_a_week(self, make_job: Callable[..., Job], slack: str) -> None:
        monday = dt.datetime(2026, 11, 23, 0, 0, tzinfo=dt.UTC)  # 09:00 JST
        with time_machine.travel(monday, tick=False):
            for name, end in (("today", "2026-11-23"), ("30 days", "2026-12-23"), ("31 days", "2026-12-24")):
                make_job(name=name, end_date=end)
            assert remind_of_ending_jobs() == 2
            assert remind_of_ending_jobs() == 0
        told = Event.objects.filter(title="Job ending soon").order_by("message").values_list("message", flat=True)
        assert ["in 30 days" in told[0], "ends today" in told[1]] == [True, True]
        assert Message.objects.count() == 2
        with time_machine.travel(monday + dt.timedelta(days=7), tick=False):
            assert remind_of_ending_jobs() == 2

    def test_old_events_are_forgotten(self, make_job: Callable[..., Job]) -> None:
        make_job()
        Event.objects.update(created_at=timezone.now() - dt.timedelta(days=91))
        make_job(name="New")
        assert forget_old(90) == 1
        assert Event.objects.count() == 1


def test_backoff_doubles_up_to_an_hour() -> None:
    seconds = [backoff(attempt).total_seconds() for attempt in range(1, 12)]
    assert 24 <= seconds[0] <= 36
    assert all(2880 <= value <= 4320 for value in seconds[-3:])


def test_an_outcome_of_a_worker_that_lost_its_execution_tells_nobody(make_job: Callable[..., Job]) -> None:
    job = make_job()
    owner = uuid4()
    execution = Execution.objects.create(
        job=job, trigger_type="scheduled", execution_type="webhook", target="x", worker_id=owner
    )
    late = finished(job)._replace(execution_id=execution.pk)
    before = Event.objects.count()
    store([late])
    execution.refresh_from_db()
    assert (execution.status, Event.objects.count()) == ("running", before)
    store([late._replace(worker_id=owner)])
    store([late._replace(worker_id=owner)])
    execution.refresh_from_db()
    assert (execution.status, Event.objects.count()) == ("failed", before + 1)


def test_the_longest_address_has_a_key(make_job: Callable[..., Job], mailing: None) -> None:
    address = "a" * 60 + "@" + ".".join(["b" * 60] * 3) + ".com"
    job = make_job(enable_email_notifications=True, notification_emails=[address])
    tell_of_executions(None, [finished(job)])
    assert len(Message.objects.get().key) <= 400
