"""One row that cannot be shown as usual takes no page, list, export or import away from the others."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from rest_framework.test import APIClient

from executions.models import Execution, Status, TriggerType
from jobs.models import Job
from jobs.transfer import exporting

HOSTILE: dict[str, dict[str, Any]] = {
    "a schedule that is none": {"cron_expression": "61 25 * * *"},
    "an empty schedule": {"cron_expression": ""},
    "odd weekdays": {"cron_expression": "0 0 * * 07"},
    "an hour list with a step": {"cron_expression": "0 */4,9 * * *"},
    "metadata that is a list": {"metadata": [1, {"branchDetails": {"a": 1}}]},
    "metadata that is text": {"metadata": "text"},
    "addresses that are none": {"notification_emails": {"a": None}},
    "failures that are none": {"retry_on": {"5xx": None}, "max_attempts": 3},
    "a target that is no URL": {"target_url": "http://[::1"},
    "an enormous name": {"name": "\N{FULLWIDTH LATIN CAPITAL LETTER A}" * 255},
    "markup": {"name": "<script>alert(1)</script>{{ 7 }}{% now %}", "problem": "<b>\u202e\u0000".replace("\x00", "")},
    "a broken emoji": {"name": "\ufffe\u200b\u202e\U0001f9ff"},
    "years far away": {"next_run_at": dt.datetime(9998, 12, 31, 23, 59, tzinfo=dt.UTC)},
    "an end in the past": {"end_date": dt.date(1970, 1, 1)},
    "an end far away": {"end_date": dt.date(9999, 12, 31)},
}
EXECUTIONS: dict[str, dict[str, Any]] = {
    "attempts that are none": {"attempts": {"no": "list"}},
    "attempts without times": {"attempts": [{"status": 200}, 7, None]},
    "an unknown kind": {"execution_type": "carrier_pigeon", "target": "coop 7"},
    "a target that is no URL": {"target": "http://[::1"},
    "no target": {"target": ""},
    "overrides that are none": {"overrides": [1, 2]},
    "an endless answer": {"output": "x" * 100_000, "error_message": "<b>" * 20_000},
    "a negative duration": {"duration_seconds": -5.0},
    "years": {"duration_seconds": 1e9},
}


def admin_lists() -> list[str]:
    """Every list of the admin that has a URL."""
    found = []
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
        try:
            found.append(reverse(name))
        except NoReverseMatch:
            continue
    return found


def shared_pages() -> list[str]:
    return [
        *admin_lists(),
        reverse("admin:index"),
        reverse("admin:dashboard_live"),
        reverse("admin:calendar") + "?view=day",
        reverse("admin:calendar") + "?view=week",
    ]


SHARED_ANSWERS = [
    "/api/v2/jobs",
    "/api/v2/executions",
    "/api/v2/executions/statistics",
    "/api/v2/notifications",
    "/api/v2/health",
]


def pages_of(job: Job) -> list[str]:
    return [
        reverse("admin:jobs_job_view", args=[job.pk]),
        reverse("admin:jobs_job_change", args=[job.pk]),
        reverse("admin:jobs_job_explain", args=[job.pk]),
        reverse("admin:jobs_job_history", args=[job.pk]),
        reverse("admin:jobs_job_add") + f"?duplicate={job.pk}",
    ]


def answers_of(job: Job) -> list[str]:
    return [f"/api/v2/jobs/{job.pk}", f"/api/v2/jobs/{job.pk}/executions", f"/api/v2/jobs/{job.pk}/explain"]


def assert_all_well(browser: Client, api: APIClient, pages: list[str], answers: list[str]) -> None:
    browser.raise_request_exception = False
    bad = []
    for page in pages:
        answer = browser.get(page, follow=True)
        if answer.status_code != 200:
            bad.append((page, answer.status_code, answer.exc_info and answer.exc_info[1]))
    for path in answers:
        answer = api.get(path)
        if answer.status_code not in {200, 400}:
            bad.append((path, answer.status_code, answer.content[:200]))
    assert not bad


def run_of(job: Job) -> Execution:
    now = timezone.now()
    return Execution.objects.create(
        job=job,
        status=Status.FAILED,
        trigger_type=TriggerType.SCHEDULED,
        scheduled_for=now.replace(second=0, microsecond=0),
        started_at=now,
        completed_at=now,
        duration_seconds=0.5,
        execution_type="webhook",
        target="https://hooks.example.com/nightly",
    )


@pytest.fixture
def execution(make_job: Callable[..., Job]) -> Execution:
    return run_of(make_job(cron_expression="*/5 * * * *"))


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_job(change: dict[str, Any], execution: Execution, browser: Client, api: APIClient) -> None:
    job = execution.job
    Job.objects.filter(pk=job.pk).update(**change)
    assert_all_well(browser, api, pages_of(job), answers_of(job))


@pytest.mark.parametrize("change", EXECUTIONS.values(), ids=EXECUTIONS)
def test_a_hostile_execution(change: dict[str, Any], execution: Execution, browser: Client, api: APIClient) -> None:
    Execution.objects.filter(pk=execution.pk).update(**change)
    page = reverse("admin:executions_execution_change", args=[execution.pk])
    assert_all_well(browser, api, [page, *pages_of(execution.job)], answers_of(execution.job))
    assert api.get(f"/api/v2/executions/{execution.pk}").status_code == 200


def test_what_shows_them_all(make_job: Callable[..., Job], browser: Client, api: APIClient) -> None:
    """Lists, boards and exports over every row of the two tables above, and a good one."""
    for number, change in enumerate(HOSTILE.values()):
        hostile = run_of(make_job(name=f"Hostile {number}", cron_expression="*/5 * * * *"))
        Job.objects.filter(pk=hostile.job_id).update(**change)
    for number, change in enumerate(EXECUTIONS.values()):
        hostile = run_of(make_job(name=f"Hostile run {number}", cron_expression="*/5 * * * *"))
        Execution.objects.filter(pk=hostile.pk).update(**change)
    make_job(name="Its neighbour")
    assert_all_well(browser, api, shared_pages(), SHARED_ANSWERS)
    assert "Its neighbour" in browser.get(reverse("admin:jobs_job_changelist")).content.decode()
    for write in (exporting.write_csv, exporting.write_json):
        out = io.StringIO()
        write(Job.objects.all(), out, reader=None)
        assert "Its neighbour" in out.getvalue()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="only SQLite stores a JSON column that is no JSON")
def test_a_column_that_is_no_json(make_job: Callable[..., Job], browser: Client, api: APIClient) -> None:
    pages, answers = shared_pages(), list(SHARED_ANSWERS)
    for text in ("not json", "", '{"a":', "NaN"):
        job = run_of(make_job(name=f"Metadata {text}", cron_expression="*/5 * * * *")).job
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA ignore_check_constraints = 1")
            cursor.execute("UPDATE jobs_job SET metadata = %s WHERE id = %s", [text, job.pk.hex])
            cursor.execute("PRAGMA ignore_check_constraints = 0")
        pages += pages_of(job)
        answers += answers_of(job)
    assert_all_well(browser, api, pages, answers)
