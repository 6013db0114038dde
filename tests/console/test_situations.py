"""What the latest runs of a job say of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from console.situations import situation
from executions.models import Execution
from executions.statistics import queries
from executions.statistics.queries import Run
from jobs.models import Job

NOW = dt.datetime(2026, 11, 26, 3, tzinfo=dt.UTC)


def runs(*statuses: str) -> list[Run]:
    start = NOW - dt.timedelta(minutes=len(statuses))
    return [Run(uuid4(), status, start + dt.timedelta(minutes=at), 1.0) for at, status in enumerate(statuses)]


@pytest.mark.parametrize(
    ("statuses", "last_status", "failing_since", "is_longer"),
    [
        (["success"], "success", None, False),
        (["success", "failed", "failed"], "failed", NOW - dt.timedelta(minutes=2), False),
        (["failed", "failed"], "failed", NOW - dt.timedelta(minutes=2), True),
        (["failed", "skipped"], "failed", NOW - dt.timedelta(minutes=2), True),
        (["skipped"] * 20, "failed", NOW - dt.timedelta(hours=2), True),
        (["skipped"] * 20, "success", None, False),
        ([], "failed", NOW - dt.timedelta(hours=2), True),
    ],
)
def test_failing(statuses: list[str], last_status: str, failing_since: dt.datetime | None, is_longer: bool) -> None:
    job = Job(last_status=last_status, last_execution_at=NOW - dt.timedelta(hours=2))
    found = situation(runs(*statuses), job)
    assert (found.failing_since, found.is_longer) == (failing_since, is_longer)


@pytest.mark.django_db
def test_the_dashboard_names_the_reason_from_before_a_window(
    admin_client: Client, make_job: Callable[..., Job]
) -> None:
    job = make_job(name="Nightly")
    now = timezone.now()
    fields = {"job": job, "execution_type": "webhook", "target": "x"}
    before = now - dt.timedelta(hours=2)
    failed = Execution.objects.create(
        **fields, status="failed", started_at=before, error_message="Webhook returned status 503"
    )
    for minute in range(25):
        Execution.objects.create(**fields, status="skipped", started_at=now - dt.timedelta(minutes=minute))
    Job.objects.filter(pk=job.pk).update(last_status="failed", last_execution_at=before)
    assert queries.last_failures([job.pk]) == {job.pk: failed}
    page = admin_client.get("/admin/").content.decode()
    assert "Webhook returned status 503" in page
    assert "1 of 1 jobs is failing" in page
