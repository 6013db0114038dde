"""The link of a reminder: opening it does nothing, confirming it extends the job or hands it over, once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client

from accounts.models import User
from audit.models import ChangeRecord
from jobs import signed_links
from jobs.models import Job, today
from notifications.models import Channel, Event, Message
from notifications.routing import remind_of_ending_jobs
from settings_app.models import SlackSettings
from taxonomy.models import PicTeam

pytestmark = pytest.mark.django_db


@pytest.fixture
def ending(make_job: Callable[..., Job]) -> Job:
    return make_job(name="Ends <soon>", end_date=(today() + dt.timedelta(days=9)).isoformat())


def test_opening_it_does_nothing(ending: Job) -> None:
    answer = Client().get(f"/extend/{signed_links.sign(ending)}/")
    assert answer.status_code == 200
    assert "Ends &lt;soon&gt;" in answer.content.decode()
    assert answer["Referrer-Policy"] == "same-origin"
    before = ending.end_date
    ending.refresh_from_db()
    assert ending.end_date == before


def test_it_extends_once(ending: Job) -> None:
    page, before = f"/extend/{signed_links.sign(ending)}/", ending.end_date
    answer = Client().post(page, {"extend": "1"}, REMOTE_ADDR="192.0.2.5")
    assert answer.status_code == 200
    ending.refresh_from_db()
    assert ending.end_date == before + dt.timedelta(days=30)
    told = ChangeRecord.objects.filter(subject_id=ending.pk)[0]
    assert (told.kind, told.by, told.address) == ("updated", None, "192.0.2.5")
    assert Event.objects.order_by("-id")[0].message == 'Job "Ends <soon>" was updated by a link from a reminder.'
    again = Client().post(page, {"extend": "1"})
    assert (again.status_code, "has been used" in again.content.decode()) == (400, True)
    ending.refresh_from_db()
    assert ending.end_date == before + dt.timedelta(days=30)


def test_it_stays_used_when_the_job_is_set_back(ending: Job) -> None:
    page, before = f"/extend/{signed_links.sign(ending)}/", ending.end_date
    assert Client().post(page, {"extend": "1"}).status_code == 200
    Job.objects.filter(pk=ending.pk).update(end_date=before)
    assert Client().post(page, {"extend": "1"}).status_code == 400
    ending.refresh_from_db()
    assert ending.end_date == before


def test_it_hands_over_once(ending: Job) -> None:
    other = PicTeam.objects.create(name="Other", slug="other", slack_handle="@other")
    page = f"/extend/{signed_links.sign(ending)}/"
    assert "now belongs to Other" in Client().post(page, {"team": "other"}).content.decode()
    ending.refresh_from_db()
    assert ending.pic_team == other
    assert Client().get(page).status_code == 400


def test_a_job_that_its_end_date_paused_is_enabled_again(ending: Job) -> None:
    from jobs.services import pause_expired

    page = f"/extend/{signed_links.sign(ending)}/"
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(days=12)):
        pause_expired()
        Client().post(page, {"extend": "1"})
        ending.refresh_from_db()
        assert ending.is_active
        assert ending.next_run_at is not None
        assert ending.end_date == today() + dt.timedelta(days=30)


def test_what_is_not_ours_or_too_old_is_refused(ending: Job) -> None:
    token = signed_links.sign(ending)
    for wrong in (token[:-2], "nonsense", token.replace(":", "x")):
        assert Client().get(f"/extend/{wrong}/").status_code == 400
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(days=61)):
        assert Client().get(f"/extend/{token}/").status_code == 400
    ending.delete()
    assert Client().get(f"/extend/{token}/").status_code == 404
    assert Client(enforce_csrf_checks=True).post(f"/extend/{token}/", {"extend": "1"}).status_code == 403


def test_reminders_go_to_owners_and_admins_once_a_week(
    ending: Job, make_job: Callable[..., Job], user: User, admin: User, settings: Any
) -> None:
    settings.MAIL_ENABLED, settings.PUBLIC_URL = True, "https://cron.example.com"
    SlackSettings.objects.update_or_create(
        pk=SlackSettings.SINGLETON, defaults={"is_enabled": True, "webhook_url": "https://hooks.example.com/x"}
    )
    mine = make_job(name="mine", by=user, end_date=(today() + dt.timedelta(days=3)).isoformat())
    for _ in range(2):
        remind_of_ending_jobs()
    mails = {one.recipient: one for one in Message.objects.filter(channel=Channel.EMAIL)}
    assert set(mails) == {"ada@example.com", "uma@example.com"}
    assert mails["ada@example.com"].subject == "[Cronsched] 2 jobs end within 30 days"
    assert mails["uma@example.com"].subject == "[Cronsched] 1 job ends within 30 days"
    assert "Ends &lt;soon&gt;" in mails["ada@example.com"].html
    assert f"https://cron.example.com/extend/{signed_links.sign(mine)[:20]}" in mails["uma@example.com"].text
    slack = Message.objects.filter(channel=Channel.SLACK)
    assert slack.count() == 2
    assert all("|Extend it or hand it over>" in one.text for one in slack)


def test_an_address_leaves_a_jobs_mail(make_job: Callable[..., Job]) -> None:
    job = make_job(enable_email_notifications=True, notification_emails=["a@example.com", "b@example.com"])
    page = f"/unsubscribe/{signed_links.sign_address(job, 'a@example.com')}/"
    assert "a@example.com" in Client().get(page).content.decode()
    job.refresh_from_db()
    assert len(job.notification_emails) == 2
    # As a mail program posts it (RFC 8058), without a cookie, and as often as it likes.
    for _ in range(2):
        answer = Client(enforce_csrf_checks=True).post(page, {"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200
    job.refresh_from_db()
    assert job.notification_emails == ["b@example.com"]
    assert Client().get(page[:-4] + "x/").status_code == 400
    assert Client().get(f"/extend/{signed_links.sign_address(job, 'b@example.com')}/").status_code == 400


def test_a_job_that_somebody_switched_off_stays_off(ending: Job) -> None:
    from jobs.services import set_active

    page = f"/extend/{signed_links.sign(ending)}/"
    set_active(ending, False, by=None)
    with time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(days=12)):
        Client().post(page, {"extend": "1"})
        ending.refresh_from_db()
        assert not ending.is_active
        assert ending.end_date == today() + dt.timedelta(days=30)
