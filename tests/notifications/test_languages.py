"""Messages in the language of their recipients."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from django.utils.translation import override

from accounts.models import User
from core.sentences import said
from jobs.models import Job
from notifications import digests, rendering, wording
from notifications.alert_rules import Alert, AlertKind
from notifications.models import Event, Message
from notifications.outbox import send_due
from notifications.reports import send_daily, send_weekly
from notifications.routing import notify_outcomes
from notifications.routing_table import ROUTES, Kind, in_app
from settings_app.models import Preferences, SlackSettings
from settings_app.services import update_preferences
from tests.support.executions import finished

pytestmark = pytest.mark.django_db

ENGLISH = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,} [A-Za-z]{2,}")
# Words of the templates.
LABELS = {
    "Open", "Reason", "Finished", "Target", "mail", "more", "alerts", "Failing", "Slowest", "Ending", "Ends", "Each",
}  # fmt: skip
MakeJob = Callable[..., Job]


@pytest.fixture(autouse=True)
def mailing(settings: Any) -> None:
    settings.MAIL_ENABLED = True


@pytest.fixture
def japanese(settings: Any) -> None:
    settings.NOTIFICATION_LANGUAGE = "ja"


def words_of(message: Any) -> set[str]:
    """The words of a mail, as text and as HTML."""
    html = " ".join(str(part[0]) for part in message.alternatives)
    return set(re.findall(r"[A-Za-z]+", f"{message.body} {re.sub('<[^>]*>', ' ', html)}"))


def told_of(job: Job) -> list[Message]:
    """The messages about a failure of a job, as they are sent."""
    notify_outcomes([finished(job)])
    send_due("email")
    return list(Message.objects.order_by("recipient"))


def test_each_reads_the_language_of_the_account(make_job: MakeJob, admin: User, settings: Any) -> None:
    update_preferences(admin, {"language": "ja"})
    told_of(make_job(enable_email_notifications=True, notification_emails=["Ada@example.com", "b@example.com"]))
    by_address = {one.to[0]: one for one in mail.outbox}
    assert by_address["b@example.com"].subject == "[Cronsched] Nightly failed"
    assert by_address["Ada@example.com"].subject == "[Cronsched] Nightly 失敗"
    assert "ジョブ「Nightly」が失敗しました" in by_address["Ada@example.com"].body
    assert 'lang="ja"' in str(by_address["Ada@example.com"].alternatives[0][0])
    assert not ENGLISH.search(by_address["Ada@example.com"].body)
    assert not LABELS & words_of(by_address["Ada@example.com"])
    assert LABELS & words_of(by_address["b@example.com"])


def test_slack_and_other_addresses_read_the_installations(make_job: MakeJob, japanese: None, slack: str) -> None:
    job = make_job(enable_email_notifications=True, notification_emails=["b@example.com"], alert_slack=True)
    by_mail, by_slack = sorted(told_of(job), key=lambda one: one.channel)
    assert (by_mail.channel, by_mail.subject) == ("email", "[Cronsched] Nightly 失敗")
    assert "ジョブ *Nightly* が失敗しました" in by_slack.text
    assert "実行を開く" in str(by_slack.blocks)


def test_an_account_may_choose_english(make_job: MakeJob, admin: User, japanese: None) -> None:
    update_preferences(admin, {"language": "en"})
    [message] = told_of(make_job(enable_email_notifications=True, notification_emails=[admin.email]))
    assert message.subject == "[Cronsched] Nightly failed"


def test_a_digest(make_job: MakeJob, japanese: None) -> None:
    job = make_job(enable_email_notifications=True, notification_emails=["b@example.com"])
    notify_outcomes([finished(job) for _ in range(digests.AT_ONCE + 1)])
    send_due("email")
    [message] = mail.outbox
    assert message.subject == "[Cronsched] 6 件のアラート"
    assert "ジョブ「Nightly」(QA Team)が失敗しました" in message.body
    assert not ENGLISH.search(message.body)
    assert not LABELS & words_of(message)


@pytest.mark.parametrize("kind", list(AlertKind))
def test_every_alert_is_said_in_japanese(kind: AlertKind, make_job: MakeJob) -> None:
    job = make_job()
    alert = Alert(kind, job, finished(job), timezone.now() - dt.timedelta(hours=5), 3, 1.5)
    with override("ja"):
        words = f"{wording.subject(alert)} {wording.summary(alert)}"
    assert re.search("[ぁ-ん一-龥]", words)
    assert not ENGLISH.search(words)


def test_reports_endings_and_what_others_did(make_job: MakeJob, admin: User, user: User, japanese: None) -> None:
    Preferences.objects.update_or_create(
        user=user, defaults={"daily_digest": True, "weekly_report": True, "email_on_job_disabled": True}
    )
    job = make_job(by=user)
    send_daily()
    send_weekly()
    Message.objects.bulk_create(
        [*rendering.of_ending("w", [job]), *rendering.of_disabled(job, "a link from a reminder")]
    )
    send_due("email")
    assert len(mail.outbox) == 5
    for message in mail.outbox:
        assert not ENGLISH.search(f"{message.subject}\n{message.body}")
        assert not LABELS & words_of(message)


def test_what_admins_hear_of_the_scheduler(admin: User, japanese: None) -> None:
    SlackSettings.objects.create(is_enabled=True, webhook_url="https://hooks.example.com/x")
    shown = in_app(Kind.SCHEDULER_INCIDENT)
    event = Event(
        title=shown.title, message="More than 50000 jobs are due: the scheduler cannot keep up.", type=shown.type
    )
    by_mail, by_slack = rendering.of_scheduler(event)
    assert not ENGLISH.search(f"{by_mail.subject} {by_mail.text} {by_slack.text}")


@pytest.mark.parametrize("kind", [kind for kind, route in ROUTES.items() if route.in_app])
def test_every_title_of_an_event_is_said_in_japanese(kind: Kind) -> None:
    with override("ja"):
        assert re.search("[ぁ-んァ-ン一-龥]", said(in_app(kind).title))


def test_a_language_that_is_none_is_refused(api: Any, admin: User) -> None:
    path = f"/api/v2/auth/users/{admin.pk}/preferences"
    answer = api.put(path, {"language": "xx"}, format="json")
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["language"])
    assert api.put(path, {"language": "ja"}, format="json").json()["preferences"]["language"] == "ja"


def test_it_is_chosen_on_the_page_of_the_account(browser: Any, admin: User) -> None:
    page = browser.post("/admin/account/", {"act": "preferences", "language": "ja"}, follow=True)
    assert Preferences.objects.get(user=admin).language == "ja"
    assert 'value="ja" lang="ja"' in " ".join(page.content.decode().split())
