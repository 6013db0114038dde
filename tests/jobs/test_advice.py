"""Sentences about jobs that are valid and yet probably not what was meant."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils.translation import override

from accounts.models import User
from core.sentences import said
from jobs.advice import warnings_of
from jobs.models import Job, today
from jobs.serializers import bulk_answer
from jobs.transfer.importing import import_jobs

pytestmark = pytest.mark.django_db

PAGE = "The URL is a page of GitHub Actions, and a call of it starts nothing: choose the target GitHub Actions."
NEVER = "It never fires before its end date."
MakeJob = Callable[..., Job]


@pytest.mark.parametrize(
    ("url", "warnings"),
    [
        ("https://github.com/o/r/actions/workflows/ci.yml", [PAGE]),
        ("https://www.github.com/o/r/actions/workflows/ci.yml?query=branch%3Amain", [PAGE]),
        ("https://github.com/o/r/blob/main/.github/workflows/ci.yml", [PAGE]),
        ("https://github.com/o/r/blob/feature/x/.github/workflows/ci.yml", [PAGE]),
        ("https://api.github.com/repos/o/r/actions/workflows/ci.yml/dispatches", []),
        ("https://github.com/o/r/actions", []),
        ("https://example.com/o/r/actions/workflows/ci.yml", []),
    ],
)
def test_the_page_of_a_workflow_as_a_webhook(url: str, warnings: list[str], make_job: MakeJob) -> None:
    assert warnings_of(make_job(target_url=url)) == warnings


def test_a_page_of_an_enterprise_server(make_job: MakeJob, settings: Any) -> None:
    settings.GITHUB_API_URL = "https://git.example.com/api/v3"
    assert warnings_of(make_job(target_url="https://git.example.com/o/r/actions/workflows/ci.yml")) == [PAGE]


def test_a_schedule_that_does_not_fire_before_the_end_date(make_job: MakeJob) -> None:
    assert warnings_of(make_job(cron_expression="0 0 29 2 *", end_date=str(today() + dt.timedelta(days=1)))) == [NEVER]
    assert warnings_of(make_job(name="off", is_active=False)) == []


@pytest.mark.parametrize("broken", [{"cron_expression": "99 9 * * *"}, {"time_zone": "Mars/Base"}])
def test_a_stored_schedule_that_cannot_be_used_stops_no_change(
    broken: dict[str, str], make_job: MakeJob, api: Any
) -> None:
    job = make_job(is_active=False)
    Job.objects.filter(pk=job.pk).update(**broken)
    job.refresh_from_db()
    assert warnings_of(job) == []
    answer = api.put(f"/api/v2/jobs/{job.pk}", {"name": "renamed"}, format="json")
    assert (answer.status_code, answer.json()["job"]["name"]) == (200, "renamed")


def test_a_row_of_a_file(admin: User, team: Any) -> None:
    url = "https://github.com/o/r/actions/workflows/ci.yml"
    text = (
        f"Job Name,Cron Schedule (JST),Target URL,End Date,PIC Team\nNightly,0 3 * * *,{url},2099-12-31,{team.name}\n"
    )
    answer = bulk_answer(import_jobs(text.encode(), by=admin, dry_run=True), True, False)
    assert answer["warnings"] == [{"row": 2, "job_name": "Nightly", "message": PAGE}]


@pytest.mark.parametrize("sentence", [PAGE, NEVER])
def test_they_are_said_in_japanese(sentence: str) -> None:
    with override("ja"):
        assert said(sentence) != sentence
