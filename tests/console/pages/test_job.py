"""The page of a job for reading."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from executions.models import Execution, Status
from jobs import services
from jobs.models import Job
from tests.support.executions import ran
from windows.services import pause

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(make_user: Callable[..., User]) -> User:
    return make_user("uma", admin_access=True)


@pytest.fixture
def viewer(make_user: Callable[..., User]) -> User:
    return make_user("vic", "viewer", admin_access=True)


def page_of(browser: Client, job: Job) -> str:
    return browser.get(reverse("admin:jobs_job_view", args=[job.pk])).content.decode()


def test_a_skip_is_taken_back_also_inside_a_window(browser: Client, make_job: Callable[..., Job], admin: User) -> None:
    job = make_job(cron_expression="0 9 1 * *")
    services.skip_next_run(job, by=admin)
    pause([job], timezone.now() + dt.timedelta(hours=1), "", by=admin)
    page = browser.get(reverse("admin:jobs_job_view", args=[job.pk])).content.decode()
    assert reverse("admin:jobs_job_unskip", args=[job.pk]) in page
    assert "is to be skipped" in page


def test_a_failing_job_says_since_when_and_why(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job(name="Invoices", cron_expression="0 9 * * 1-5")
    ran(job, Status.SUCCESS, ago=4000)
    first = ran(job, Status.FAILED, ago=3000, error_message="Webhook returned status 500", output='{"token": "s3cr3t"}')
    ran(
        job, Status.FAILED, ago=60, error_message="Webhook returned status 500", output="line 1\nline 2\nline 3\nline 4"
    )
    page = page_of(browser, job)
    assert "Failing" in page
    assert f"{timezone.localtime(first.started_at):%Y-%m-%d %H:%M:%S}: 2 runs failed in a row" in page
    assert "Webhook returned status 500" in page
    assert "line 3" in page and "line 4" not in page
    assert "At 09:00, Monday through Friday" in page
    assert "33.3 %" in page
    assert "Nobody is told outside the admin." in page


def test_a_job_that_fails_now_and_then_is_flapping(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job()
    for number in range(12):
        ran(job, Status.FAILED if number % 3 else Status.SUCCESS, ago=1000 - 60 * number)
    ran(job, Status.SUCCESS, ago=10)
    assert "Flapping: it fails now and then." in page_of(browser, job)


def test_each_run_of_the_strip_leads_to_its_execution(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job()
    runs = [ran(job, Status.SUCCESS, ago=60 * number + 5) for number in range(55)]
    page = page_of(browser, job)
    linked = [run for run in runs if reverse("admin:executions_execution_change", args=[run.pk]) in page]
    assert linked == runs[:50]


def test_what_changed_is_said_in_words(browser: Client, make_job: Callable[..., Job], admin: User) -> None:
    job = make_job()
    services.set_active(job, False, by=admin)
    page = page_of(browser, job)
    assert "Disabled" in page
    assert "Enabled: yes → no" in page
    assert "It is disabled." in page


@override_settings(MAIL_ENABLED=True)
def test_who_would_be_told(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job(
        enable_email_notifications=True, notification_emails=["a@example.com"], alert_slack=True, alert_after_failures=3
    )
    page = page_of(browser, job)
    assert "a@example.com (after 3 failures in a row)" in page
    assert "on, but Slack is not connected; nobody is told" in page
    assert "Nobody is told outside the admin." not in page


def test_who_may_not_edit_sees_no_secrets_and_no_buttons(
    viewer: User, browser_of: Callable[[User], Client], make_job: Callable[..., Job]
) -> None:
    job = make_job(target_url="https://x.example.com/?token=s3cr3t")
    page = page_of(browser_of(viewer), job)
    assert "s3cr3t" not in page
    assert reverse("admin:jobs_job_run", args=[job.pk]) not in page


def test_run_now_opens_the_execution(browser: Client, make_job: Callable[..., Job], handed: list[Any]) -> None:
    job = make_job()
    answer = browser.post(reverse("admin:jobs_job_run", args=[job.pk]))
    assert answer["Location"] == reverse("admin:executions_execution_change", args=[Execution.objects.get().pk])


def test_the_live_part_is_sent_only_when_something_changed(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job(cron_expression="0 0 1 1 *")
    part = reverse("admin:jobs_job_live", args=[job.pk])
    tag = browser.get(part)["ETag"]
    assert browser.get(part, headers={"If-None-Match": tag}).status_code == 304
    ran(job, Status.SUCCESS)
    assert browser.get(part, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("runs", [1, 60])
def test_the_page_costs_the_same_whatever_the_history(
    browser: Client, make_job: Callable[..., Job], runs: int, django_assert_num_queries: Any
) -> None:
    job = make_job()
    for number in range(runs):
        ran(job, Status.FAILED, ago=60 * number + 5)
    browser.get(reverse("admin:jobs_job_live", args=[job.pk]))
    with django_assert_num_queries(16):
        browser.get(reverse("admin:jobs_job_live", args=[job.pk]))


def test_the_next_runs_end_with_the_end_date(browser: Client, make_job: Callable[..., Job]) -> None:
    tomorrow = timezone.localdate() + dt.timedelta(days=1)
    job = make_job(cron_expression="0 0 * * *", end_date=tomorrow.isoformat())
    shown = browser.get(reverse("admin:jobs_job_view", args=[job.pk])).context["upcoming"]
    assert [row["time"][:10] for row in shown] == [f"{tomorrow}"]
