"""What receivers told, on the pages of an execution and of its job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from executions.models import Execution, Poll, Report
from jobs.models import Job
from tests.support.executions import left, ran

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    return make_job(target_url="http://127.0.0.1:1/", completion="callback", run_limit_minutes=60, stall_minutes=10)


def page(browser: Client, execution: Execution) -> str:
    return browser.get(f"/admin/executions/execution/{execution.pk}/change/").content.decode()


def tell(execution: Execution, status: str = "success", **fields: Any) -> Report:
    return Report.objects.create(execution=execution, status=status, told_at=timezone.now(), **fields)


def test_a_run_that_is_waited_for(browser: Client, job: Job) -> None:
    execution = left(job, run_id=0, started_at=dt.datetime(2026, 11, 25, 1, 0, tzinfo=dt.UTC), response_status=202)
    shown = page(browser, execution)
    assert "It fails if it is not over at 2026-11-25 11:00:00." in shown
    assert "The receiver has told nothing yet." in shown
    tell(execution, "progress", message="half", counts={"passed": 1200})
    shown = page(browser, execution)
    assert "half" in shown
    assert "1,200" in shown
    assert "Or if nothing more is told until" in shown


def test_a_run_whose_status_is_asked(browser: Client, make_job: Callable[..., Job]) -> None:
    execution = left(make_job(target_url="http://127.0.0.1:1/", completion="poll"), run_id=0)
    moment = dt.datetime(2026, 11, 25, 1, 0, tzinfo=dt.UTC)
    Poll.objects.create(
        execution=execution, url="http://x/?key=k3y", next_at=moment, wait_seconds=5, problem="no answer"
    )
    shown = page(browser, execution)
    assert "asked next at 2026-11-25 10:00:00" in shown
    assert "none" in shown
    assert "k3y" not in shown


def test_a_run_that_has_ended(browser: Client, browser_of: Callable[..., Client], viewer: Any, job: Job) -> None:
    execution = ran(job, "failed", run_id=0, response_status=202, output="begun")
    tell(execution, "failed", message="<b>3</b>", counts={"passed": 9, "failed": 3}, url="https://ci.example/7?key=k3y")
    shown = page(browser, execution)
    assert "&lt;b&gt;3&lt;/b&gt;" in shown
    assert "75.0 %" in shown
    assert 'href="https://ci.example/7?key=k3y"' in shown
    assert "HTTP 202" not in shown.partition("</title>")[0]
    # The query of an address may be a key.
    assert "k3y" not in page(browser_of(viewer), execution)


def test_counts_become_a_trend(browser: Client, job: Job, django_assert_max_num_queries: Any) -> None:
    address = f"/admin/jobs/job/{job.pk}/"
    assert "No run has told counts yet" in browser.get(address).content.decode()
    for ago, passed in ((300, 5), (200, 8), (100, 9)):
        tell(ran(job, "success", ago=ago, run_id=0), counts={"passed": passed, "failed": 10 - passed, "skipped": 1})
    tell(ran(job, "success", ago=50, run_id=0), message="without counts")
    tell(left(job, run_id=0), "progress", counts={"passed": 1})
    with django_assert_max_num_queries(30):
        shown = browser.get(address).content.decode()
    assert "90.0 %" in shown
    assert "+10 points since the run before" in shown
    assert shown.count("skipped</title>") == 3


def test_other_jobs_have_no_trend(browser: Client, make_job: Callable[..., Job]) -> None:
    job = make_job(target_url="http://127.0.0.1:1/")
    assert "Results of the last runs" not in browser.get(f"/admin/jobs/job/{job.pk}/").content.decode()
