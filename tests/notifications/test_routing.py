"""Which events become notifications."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import time_machine
from django.utils import timezone

from accounts.models import User
from core.api.timestamps import DateRange
from executions.models import Execution
from executions.recording.storage import store
from jobs.models import Job
from notifications import inbox, retention
from notifications.models import Event, Inbox, Message
from notifications.outcomes import notify_pending
from notifications.routing import notify_outcomes, remind_of_ending_jobs
from tests.support.executions import finished

pytestmark = pytest.mark.django_db


class TestEvents:
    @pytest.mark.parametrize(("setting", "told"), [("all", [True, True]), ("manual", [True]), ("none", [])])
    def test_which_successes_are_told(
        self, make_job: Callable[..., Job], settings: Any, setting: str, told: list[bool]
    ) -> None:
        settings.NOTIFY_ON_SUCCESS = setting
        job = make_job()
        notify_outcomes([finished(job, ok=True), finished(job, ok=True, manual=True), finished(job)])
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

    def test_the_last_day_is_that_of_the_jobs_zone(self, make_job: Callable[..., Job]) -> None:
        with time_machine.travel(dt.datetime(2027, 1, 1, 0, 0, tzinfo=dt.UTC), tick=False):
            # It is still the evening of its last day there.
            job = make_job(time_zone="America/Los_Angeles")
            Job.objects.update(end_date=dt.date(2026, 12, 31))
            assert list(Job.objects.ending_soon()) == [job]
            assert remind_of_ending_jobs() == 1

    def test_old_events_are_forgotten(self, make_job: Callable[..., Job]) -> None:
        make_job()
        Event.objects.update(created_at=timezone.now() - dt.timedelta(days=91))
        make_job(name="New")
        assert retention.delete_old() == 1
        assert Event.objects.count() == 1

    def test_inboxes_forget_what_they_say_of_deleted_events(self, make_job: Callable[..., Job], admin: User) -> None:
        now = timezone.now()
        admin.created_at = now - dt.timedelta(days=365)
        admin.save()
        for days in (200, 150, 0):
            with time_machine.travel(now - dt.timedelta(days=days), tick=False):
                make_job(name=f"{days} days ago")
                inbox.mark_all_read(by=admin)
                inbox.delete_read(DateRange(timezone.now() - dt.timedelta(hours=1), None), by=admin)
        before = [len(Inbox.objects.get().read_marks), len(Inbox.objects.get().cleared)]
        retention.delete_old()
        assert (before, [len(Inbox.objects.get().read_marks), len(Inbox.objects.get().cleared)]) == ([3, 3], [1, 1])
        assert not inbox.visible(admin).exists()
        make_job(name="New")
        assert inbox.visible(admin, unread_only=True).count() == 1


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
    notify_pending()
    execution.refresh_from_db()
    assert (execution.status, Event.objects.count()) == ("failed", before + 1)
