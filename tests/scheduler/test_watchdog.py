"""The API's processes tell the admins when the scheduler is in trouble, once, and when it is over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import User
from jobs.models import Job
from notifications.models import Event, Message
from scheduler import watchdog
from scheduler.models import Incident, Leadership, LeaderTerm
from settings_app.models import SlackSettings
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.django_db


def led(ago: float) -> None:
    """A leader whose last heartbeat was so many seconds ago."""
    moment = timezone.now() - dt.timedelta(seconds=ago)
    LeaderTerm.objects.get_or_create(fencing_token=1, defaults={"leader_id": "host:1", "started_at": moment})
    Leadership.objects.update_or_create(pk=1, defaults={"leader_id": "host:1", "heartbeat_at": moment})


def test_a_new_installation_is_no_trouble() -> None:
    assert watchdog.check() == set()


def test_no_leader_is_told_once_and_so_is_its_end(admin: User, settings: Any, target: Target) -> None:
    settings.MAIL_ENABLED = True
    slack = SlackSettings.current()
    slack.webhook_url, slack.is_enabled = target.url + "/text?t=ok", True
    slack.save()
    led(30)
    assert watchdog.check() == set()
    led(61)
    for _ in range(3):
        assert watchdog.check() == {"no_leader"}
    assert list(Event.objects.values_list("title", "audience")) == [("Scheduler in trouble", "owner_and_admins")]
    # Nobody leads, so nobody else would send it.
    assert [one.to for one in mail.outbox] == [["ada@example.com"]]
    assert "No scheduler leads since" in mail.outbox[0].body
    assert "No scheduler leads" in target.arrivals[0].json["text"]
    led(0)
    for _ in range(2):
        assert watchdog.check() == set()
    assert Event.objects.filter(title="Scheduler is well again").count() == 1
    assert Message.objects.count() == 4
    assert not Incident.objects.exists()


def test_a_late_clock_is_told(make_job: Callable[..., Job]) -> None:
    led(0)
    job = make_job()
    Job.objects.filter(pk=job.pk).update(next_run_at=timezone.now() - dt.timedelta(seconds=30))
    assert watchdog.check() == set()
    Job.objects.filter(pk=job.pk).update(next_run_at=timezone.now() - dt.timedelta(seconds=90))
    assert watchdog.check() == {"lagging"}


def test_a_long_backlog_is_told(make_job: Callable[..., Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "BACKLOG", 2)
    led(0)
    for number in range(3):
        make_job(name=f"job {number}")
    Job.objects.update(next_run_at=timezone.now() - dt.timedelta(seconds=5))
    assert watchdog.check() == {"backlog"}


def test_of_two_processes_one_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    led(61)
    monkeypatch.setattr(Incident.objects, "all", list)
    watchdog.check()
    watchdog.check()
    assert Event.objects.count() == 1


def test_what_could_not_be_told_is_told_later(monkeypatch: pytest.MonkeyPatch) -> None:
    led(61)
    real, failures = watchdog.notify_scheduler_incident, [1]

    def tell(words: str, *, over: bool) -> None:
        if failures:
            failures.pop()
            raise RuntimeError("it cannot be told")
        real(words, over=over)

    monkeypatch.setattr(watchdog, "notify_scheduler_incident", tell)
    with pytest.raises(RuntimeError):
        watchdog.check()
    watchdog.check()
    assert Event.objects.filter(title="Scheduler in trouble").count() == 1


def test_it_looks_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 1:
            raise RuntimeError("the first look fails")

    monkeypatch.setattr(watchdog, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(watchdog, "check", look)
    over = watchdog.start()
    wait_until(lambda: len(looks) > 2)
    over.set()
