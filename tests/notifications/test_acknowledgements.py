"""Acknowledgements: of failing and flapping jobs, with or without an alert, until they recover."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from audit.models import ChangeRecord
from console.pages.dashboard import dashboard
from executions.models import Status
from jobs.models import Job
from notifications.acknowledgements import acknowledge, counting
from notifications.models import FailureState
from tests.support.executions import ran

pytestmark = pytest.mark.django_db


def test_a_failing_job_that_nobody_is_told_of(browser: Client, make_job: Callable[..., Job], admin: User) -> None:
    job = make_job(name="quiet")
    ran(job, Status.FAILED, ago=60)
    Job.objects.filter(pk=job.pk).update(last_status=Status.FAILED)
    verb = reverse("admin:jobs_job_acknowledge", args=[job.pk])
    assert verb in browser.get(reverse("admin:index")).content.decode()
    answer = browser.post(verb, follow=True).content.decode()
    assert "No more reminders of quiet until it recovers." in answer
    assert ChangeRecord.objects.filter(kind="acknowledged", subject_id=job.pk).count() == 1
    page = browser.get(reverse("admin:jobs_job_view", args=[job.pk])).content.decode()
    assert f"Acknowledged by {admin.username}" in page and verb not in page
    [row] = dashboard(admin)["troubled"]
    assert row["acknowledged"].by == admin


def test_it_counts_until_the_next_success(make_job: Callable[..., Job], admin: User) -> None:
    job = make_job()
    ran(job, Status.FAILED, ago=60)
    assert acknowledge(job, by=admin)
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=10)):
        ran(job, Status.FAILED, ago=60)
        assert counting([job.pk], set())
        ran(job, Status.SUCCESS, ago=30)
        assert not counting([job.pk], set())
        ran(job, Status.FAILED, ago=10)
        assert not counting([job.pk], set())
        assert acknowledge(job, by=admin)
        assert counting([job.pk], set())


def test_a_run_that_was_under_way_recovers_too(make_job: Callable[..., Job], admin: User) -> None:
    job = make_job()
    ran(job, Status.FAILED, ago=60)
    under_way = ran(job, Status.RUNNING, ago=30)
    acknowledge(job, by=admin)
    under_way.status, under_way.completed_at = Status.SUCCESS, timezone.now() + dt.timedelta(minutes=1)
    under_way.save()
    assert not counting([job.pk], set())


def test_a_reminder_ends_that_of_a_flapping_job(make_job: Callable[..., Job], admin: User) -> None:
    job = make_job()
    acknowledge(job, by=admin, is_flapping=True)
    with time_machine.travel(timezone.now() + dt.timedelta(hours=2)):
        ran(job, Status.SUCCESS, ago=60)
        assert counting([job.pk], {job.pk})
        FailureState.objects.create(job=job, recent="F", since=timezone.now(), reminded_at=timezone.now())
        assert not counting([job.pk], {job.pk})


def test_of_a_flapping_job_it_counts_for_a_week(make_job: Callable[..., Job], admin: User) -> None:
    job = make_job()
    ran(job, Status.FAILED, ago=60)
    acknowledge(job, by=admin, is_flapping=True)
    for days, counts in ((6, True), (8, False)):
        with time_machine.travel(timezone.now() + dt.timedelta(days=days)):
            ran(job, Status.SUCCESS, ago=60)
            assert bool(counting([job.pk], {job.pk})) is counts


def test_a_job_that_is_well_has_nothing_to_acknowledge(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job(name="fine")
    ran(job, Status.SUCCESS, ago=60)
    answer = browser.post(reverse("admin:jobs_job_acknowledge", args=[job.pk]), follow=True).content.decode()
    assert "fine is well." in answer
    assert not ChangeRecord.objects.filter(kind="acknowledged").exists()
