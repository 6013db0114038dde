"""The dashboard: each number is right, leads to the list behind it, and costs a constant number of queries."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from console.pages.dashboard import dashboard
from executions.models import Execution, Status
from executions.statistics import queries, rollups
from jobs.models import Job
from scheduler.models import Leadership
from tests.support.executions import ran

pytestmark = pytest.mark.django_db


def test_an_empty_installation_tells_what_to_do_next(browser: Client) -> None:
    page = browser.get(reverse("admin:index")).content.decode()
    assert "No scheduler is running" in page
    assert "Create a team" in page
    assert "Create your first job" in page


def test_numbers_and_the_lists_behind_them(browser: Client, admin: User, make_job: Callable[..., Job]) -> None:
    good, bad = make_job(name="good"), make_job(name="bad")
    make_job(name="ends soon", end_date=(timezone.now() + dt.timedelta(days=5)).date().isoformat())
    for number in range(3):
        ran(good, Status.SUCCESS, ago=60 * number + 5)
    ran(bad, Status.FAILED, ago=30)
    Job.objects.filter(pk=bad.pk).update(last_status=Status.FAILED)
    Leadership.objects.create(leader_id="host:1", heartbeat_at=timezone.now())
    board = dashboard(admin)
    day, _week = board["periods"]
    assert (day["total"], day["failed"], day["rate"]) == (4, 1, 75.0)
    assert board["sentence"] == "1 of 3 jobs is failing."
    assert board["health"]["is_well"]
    assert 0.005 < board["health"]["lag"].p50 < 0.02
    assert [(row["job"].name, row["state"][1]) for row in board["troubled"]] == [("bad", "Failing")]
    assert [item["label"] for item in board["tiles"]] == ["Ending within 30 days"]
    for item in board["tiles"]:
        page = browser.get(item["url"])
        assert page.status_code == 200
        shown = page.context["cl"].result_list
        assert len(shown) == item["count"], item["label"]
    page = browser.get(reverse("admin:index")).content.decode()
    for url in set(re.findall(r'href="(/admin/[^"]*)"', page)):
        assert browser.get(url.replace("&amp;", "&"), follow=True).status_code == 200, url


@pytest.mark.parametrize("jobs", [1, 20])
def test_the_dashboard_costs_the_same_whatever_it_shows(
    browser: Client, make_job: Callable[..., Job], jobs: int, django_assert_num_queries: Any
) -> None:
    for number in range(jobs):
        job = make_job(name=f"job {number}", cron_expression=f"{number} * * * *")
        ran(job, Status.FAILED, ago=number + 1)
        ran(job, Status.SUCCESS, ago=number + 100)
    browser.get(reverse("admin:dashboard_live"))
    with django_assert_num_queries(31):
        browser.get(reverse("admin:dashboard_live"))


@pytest.mark.parametrize("jobs", [1, 30])
def test_the_job_list_costs_the_same_whatever_it_shows(
    browser: Client, make_job: Callable[..., Job], jobs: int, django_assert_num_queries: Any
) -> None:
    for number in range(jobs):
        ran(make_job(name=f"job {number}"), Status.SUCCESS)
    browser.get(reverse("admin:jobs_job_changelist"))
    with django_assert_num_queries(19):
        browser.get(reverse("admin:jobs_job_changelist"))


def test_the_whole_history_is_not_counted_for_each_page(
    browser: Client, make_job: Callable[..., Job], django_assert_num_queries: Any
) -> None:
    for number in range(30):
        ran(make_job(name=f"job {number}"), Status.SUCCESS)
    shown = browser.get(reverse("admin:executions_execution_changelist"))
    assert shown.context["cl"].result_count == 30
    with django_assert_num_queries(14) as queries:
        browser.get(reverse("admin:executions_execution_changelist"))
    counts = [query["sql"] for query in queries.captured_queries if "COUNT(" in query["sql"]]
    # Only executions of the last day.
    assert [sql for sql in counts if "executions_execution" in sql and "started_at" not in sql] == []


def test_latest_runs_are_the_latest_of_each_job(make_job: Callable[..., Job]) -> None:
    first, second = make_job(name="first"), make_job(name="second")
    expected = {first.pk: [], second.pk: []}
    for number in range(25):
        for job in (first, second):
            expected[job.pk].append(ran(job, Status.SUCCESS, ago=5000 - number * 10).pk)
    found = queries.latest_runs([first.pk, second.pk], 20)
    assert {pk: [run.id for run in runs] for pk, runs in found.items()} == {
        pk: ids[-20:] for pk, ids in expected.items()
    }
    assert queries.latest_runs([], 20) == {}


def test_hours_are_counted_by_the_clock(make_job: Callable[..., Job]) -> None:
    job = make_job()
    ran(job, Status.SUCCESS, ago=10)
    ran(job, Status.FAILED, ago=3 * 3600 + 10)
    found = rollups.by_hour(queries.since_hours(24))
    assert sum(sum(counts.values()) for counts in found.values()) == 2
    assert all(hour.minute == hour.second == 0 and hour.utcoffset() == dt.timedelta(0) for hour in found)
    for row in Execution.objects.all():
        hour = row.started_at.replace(minute=0, second=0, microsecond=0)
        assert found[hour] == {row.status: 1}
