"""Filling fire times of the past in the admin, and the page of a batch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from accounts.models import User
from executions.batches import start
from executions.models import Batch, Execution
from jobs.models import Job
from tests.support.firing import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]
HOUR = dt.timedelta(hours=1)
PERIOD = {"first": "2026-11-24T12:00", "last": "2026-11-24T14:00", "which": "gaps", "at_once": "2"}


@pytest.fixture(autouse=True)
def _afternoon() -> Iterator[None]:
    with time_machine.travel(NOON + 3.5 * HOUR, tick=False):
        yield


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    with time_machine.travel(NOON - HOUR, tick=False):
        job = make_job(cron_expression="0 * * * *", end_date="2027-12-31")
    # The leader has fired what was due.
    Job.objects.update(next_run_at=NOON + 99 * HOUR)
    return job


def filled(browser: Client, job: Job, **changes: str) -> None:
    """Look at a period, and confirm."""
    digest = browser.post(url(job), {**PERIOD, **changes}).context["look"].digest
    browser.post(url(job), {**PERIOD, **changes, "run": digest})


def url(job: Job) -> str:
    return reverse("admin:jobs_job_fill", args=[job.pk])


def test_first_it_shows_the_fire_times_then_it_runs_them(browser: Client, job: Job) -> None:
    shown = browser.get(url(job))
    assert shown.context["found"] is None
    looked = browser.post(url(job), PERIOD)
    assert [f"{one.fire_time:%H:%M}" for one in looked.context["found"]] == ["03:00", "04:00", "05:00"]
    assert "Run 3 times" in looked.content.decode()
    assert "2026-11-24 12:00" in looked.content.decode()
    assert not Batch.objects.exists()
    assert browser.post(url(job), {**PERIOD, "run": "0123"}).context["look"].has_changed
    assert not Batch.objects.exists()
    answer = browser.post(url(job), {**PERIOD, "run": looked.context["look"].digest})
    batch = Batch.objects.get()
    assert answer.headers["Location"] == reverse("admin:executions_batch_change", args=[batch.pk])
    assert batch.at_once == 2
    page = browser.get(answer.headers["Location"]).content.decode()
    assert "up to 2 runs at once" in page
    assert "2026-11-24 14:00" in page


def test_times_are_in_the_jobs_zone(browser: Client, make_job: Callable[..., Job]) -> None:
    with time_machine.travel(NOON - 48 * HOUR, tick=False):
        job = make_job(name="Berlin", cron_expression="0 * * * *", time_zone="Europe/Berlin")
    Job.objects.update(next_run_at=NOON + 99 * HOUR)
    looked = browser.post(url(job), {**PERIOD, "first": "2026-11-24T06:00", "last": "2026-11-24T06:00"})
    assert [one.fire_time.hour for one in looked.context["found"]] == [5]
    assert "2026-11-24 06:00" in looked.content.decode()
    assert "Europe/Berlin" in looked.content.decode()


def test_an_empty_period_says_what_to_do(browser: Client, job: Job) -> None:
    answer = browser.post(url(job), {**PERIOD, "which": "failed", "run": "1"})
    assert "No fire time of this period is to be filled" in answer.content.decode()
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"last": "2026-11-23T00:00"}, "ends before it begins"),
        ({"at_once": "11"}, "less than or equal to 10"),
        ({"first": ""}, ""),
    ],
)
def test_errors_are_shown_at_their_fields(browser: Client, job: Job, changes: dict[str, str], words: str) -> None:
    answer = browser.post(url(job), {**PERIOD, **changes})
    assert answer.context["form"].errors
    assert words in answer.content.decode()


def test_only_who_may_run_the_job_fills(
    browser_of: Callable[[User], Client], make_user: Callable[..., User], job: Job
) -> None:
    other = browser_of(make_user("otto", admin_access=True))
    assert other.get(reverse("admin:jobs_job_view", args=[job.pk])).status_code == 200
    for page in (url(job), reverse("admin:jobs_job_run_with", args=[job.pk])):
        assert other.get(page).status_code == 403
        assert other.post(page, {**PERIOD, "run": "1", "metadata": "{}"}).status_code == 403
    assert not Batch.objects.exists()


def test_a_batch_is_paused_resumed_and_cancelled(browser: Client, job: Job) -> None:
    filled(browser, job)
    batch = Batch.objects.get()
    for verb, words in (("pause", "until you resume"), ("resume", "are started"), ("cancel", "3 runs are not started")):
        answer = browser.post(reverse(f"admin:executions_batch_{verb}", args=[batch.pk]), follow=True)
        assert words in answer.content.decode()
    assert browser.get(reverse("admin:executions_batch_cancel", args=[batch.pk])).status_code == 405


def test_an_execution_says_what_it_makes_up_for(browser: Client, job: Job) -> None:
    filled(browser, job, last="2026-11-24T12:00")
    start.start_due()
    page = browser.get(reverse("admin:executions_execution_change", args=[Execution.objects.get().pk]))
    assert "makes up for 2026-11-24 12:00" in page.content.decode()
