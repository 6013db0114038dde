"""Jobs without a schedule of their own: `@manually`. They run by hand and at single times only."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.models import User
from console import forecast
from core.api.errors import Invalid
from executions.batches import fill, single_run, start
from executions.models import Execution
from jobs.models import Job
from jobs.schedules.schedule import CronError, schedule_of
from jobs.services import update_job
from scheduler.clock import Clock
from scheduler.explain import explain
from scheduler.firing import fire
from scheduler.leadership import Leader
from scheduler.reconcile import Reconciler
from tests.support.firing import MINUTE, NOON
from windows import services as windows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    with time_machine.travel(NOON, tick=False):
        return make_job(cron_expression=" @Manually ")


def test_a_schedule_without_times() -> None:
    schedule = schedule_of("@manually")
    assert schedule.upcoming(5, NOON) == []
    assert list(schedule.between(NOON, NOON + dt.timedelta(days=400))) == []
    assert schedule.outlook(5, NOON) == []
    assert not schedule.is_at(NOON)
    assert not schedule.fires_on(NOON.date())
    assert schedule.minutes_of(dt.date(2026, 3, 29)) == []
    assert schedule.describe() == "By hand and at single times only"
    for look in (schedule.next, schedule.previous):
        with pytest.raises(CronError):
            look(NOON)


def test_it_is_never_due_and_no_problem(job: Job) -> None:
    assert (job.cron_expression, job.next_run_at) == ("@manually", None)
    leader = Leader()
    leader.take_over()
    reconciler = Reconciler(Clock(threading.Event()))
    with time_machine.travel(NOON + dt.timedelta(days=2), tick=False):
        report = reconciler.full()
        fire(leader)
    assert (report.invalid_cron, report.scheduled_now, report.db_jobs_active) == (0, 0, 1)
    job.refresh_from_db()
    assert (job.problem, job.next_run_at) == ("", None)
    assert not Execution.objects.exists()


def test_it_runs_at_single_times(job: Job, admin: User) -> None:
    with time_machine.travel(NOON, tick=False):
        single_run.plan(job.pk, {"at": (NOON + MINUTE).isoformat()}, by=admin)
    with time_machine.travel(NOON + MINUTE, tick=False):
        assert start.start_due() == 1


def test_it_gets_a_schedule_and_loses_it_again(job: Job, admin: User) -> None:
    assert update_job(job.pk, {"cron_expression": "0 9 * * *"}, by=admin).next_run_at is not None
    assert update_job(job.pk, {"cron_expression": "@manually"}, by=admin).next_run_at is None


def test_pages_and_explanations_say_so(job: Job, browser: Client) -> None:
    page = browser.get(reverse("admin:jobs_job_view", args=[job.pk])).content.decode()
    assert "It has no schedule of its own" in page
    for name in ("admin:index", "admin:jobs_job_changelist", "admin:calendar"):
        assert browser.get(reverse(name)).status_code == 200
    assert explain(job, NOON + MINUTE).answer == "not_scheduled"
    assert forecast.together(Job.objects.all(), [NOON]) == [0]
    with time_machine.travel(NOON + 9 * MINUTE, tick=False):
        assert fill.gaps(job, fill.Asked(NOON, NOON + 9 * MINUTE)) == []


@pytest.mark.parametrize("name", ["cron-preview", "validate-cron", "cron-description"])
def test_the_api_previews_it(api: APIClient, name: str) -> None:
    answer = api.post(f"/api/v2/jobs/{name}", {"expression": "@manually"}, format="json")
    assert answer.status_code == 200, answer.json()


def test_a_window_needs_times() -> None:
    body: dict[str, Any] = {"name": "x", "cron_expression": "@manually", "minutes": 5, "ends_at": "2099-01-01T00:00"}
    with pytest.raises(Invalid) as refused:
        windows.create({**body, "hosts": ["a.example.com"]}, by=None)
    assert "cron_expression" in (refused.value.fields or {})
