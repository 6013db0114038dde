"""Alerts of jobs inside a window that mutes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from accounts.models import User
from jobs.models import Job
from notifications import digests, rendering
from notifications.models import Message
from notifications.routing import notify_outcomes
from tests.notifications.test_alert_rules import MAIL, finished
from windows import services
from windows.cover import Cover

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 12, 1, 0, 1, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def _mailing(settings: Any) -> None:
    settings.MAIL_ENABLED = True


def mute(job: Job, until: dt.datetime | None, admin: User, **more: object) -> services.Window:
    body = {"name": "Move of the data centre", "effect": "mute", "jobs": [str(job.pk)], "ends_at": until, **more}
    return services.create(body, by=admin)


def test_alerts_of_a_muted_job_are_one_message_at_the_end(make_job: Callable[..., Job], admin: User) -> None:
    muted, heard = make_job(name="muted", **MAIL), make_job(name="heard", **MAIL)
    with time_machine.travel(NOW, tick=False) as clock:
        mute(muted, NOW + HOUR, admin)
        for _ in range(7):
            notify_outcomes([finished(muted)])
            clock.shift(60)
        notify_outcomes([finished(heard)])
        gathered, told = Message.objects.order_by("created_at", "id")
        assert (gathered.alert_count, gathered.next_attempt_at) == (7, NOW + HOUR)
        assert told.subject == "[Cronsched] heard failed"
        rendering.draw_if_digest(gathered)
        assert gathered.text.count('"muted"') == 7
        # After the window alerts are sent as ever, although the recipient was told of many lately.
        clock.move_to(NOW + HOUR)
        notify_outcomes([finished(muted)])
        assert Message.objects.order_by("created_at", "id")[2].subject == "[Cronsched] muted failed"


def test_an_earlier_end_sends_what_was_gathered(make_job: Callable[..., Job], admin: User) -> None:
    job = make_job(**MAIL)
    with time_machine.travel(NOW, tick=False) as clock:
        window = mute(job, None, admin)
        notify_outcomes([finished(job)])
        assert Message.objects.get().next_attempt_at.year == 9999
        clock.shift(600)
        services.end(window, by=admin)
        assert digests.review() == 1
        assert Message.objects.get().next_attempt_at == NOW + dt.timedelta(minutes=10)


def test_a_recurring_window_is_read_in_the_zone_of_each_job(make_job: Callable[..., Job], admin: User) -> None:
    tokyo, berlin = make_job(name="Tokyo", **MAIL), make_job(name="Berlin", time_zone="Europe/Berlin", **MAIL)
    with time_machine.travel(NOW, tick=False):
        # It is 09:01 in Tokyo and 01:01 in Berlin.
        jobs = [str(job.pk) for job in (tokyo, berlin)]
        mute(tokyo, None, admin, jobs=jobs, cron_expression="30 0 * * *", minutes=60)
        notify_outcomes([finished(job) for job in (tokyo, berlin)])
        heard, gathered = Message.objects.order_by("next_attempt_at")
        assert heard.subject == "[Cronsched] Tokyo failed"
        assert gathered.next_attempt_at == dt.datetime(2026, 12, 1, 0, 30, tzinfo=dt.UTC)
        assert digests.review() == 0


def test_a_muted_job_fires(make_job: Callable[..., Job], admin: User) -> None:
    job = make_job()
    with time_machine.travel(NOW, tick=False):
        mute(job, NOW + HOUR, admin)
        cover = Cover.now()
        assert cover.inside(job, NOW) is None
        assert cover.muting(job, NOW + HOUR) is None
        skipped = services.pause([job], NOW + 2 * HOUR, "", by=admin)
        inside = Cover.now().inside(job, NOW)
        assert inside is not None
        assert inside.window == skipped
        muting = Cover.now().muting(job, NOW)
        assert muting is not None
        assert muting.until == NOW + HOUR
