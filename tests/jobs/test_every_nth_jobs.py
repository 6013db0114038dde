"""Jobs that run on every n-th day of their schedule: API, firing, and what is on record of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from accounts.models import User
from executions.models import Execution
from jobs.models import Job
from jobs.schedule_history import fire_times_between
from jobs.services import update_job
from scheduler.explain import explain
from scheduler.firing import fire
from scheduler.leadership import Leader

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]
FRIDAYS = {"cron_expression": "0 9 * * 5", "every_nth": 2, "counted_from": "2026-12-04", "end_date": "2027-12-31"}
NINE = dt.datetime(2026, 12, 4, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _before() -> Iterator[None]:
    with time_machine.travel(NINE - dt.timedelta(days=2), tick=False):
        yield


@pytest.fixture
def job(api: APIClient, job_body: dict[str, Any]) -> Job:
    answer = api.post("/api/v2/jobs", {**job_body, **FRIDAYS}, format="json")
    assert answer.status_code == 201, answer.json()
    shown = answer.json()["job"]
    assert (shown["every_nth"], shown["counted_from"]) == (2, "2026-12-04")
    return Job.objects.get(pk=shown["id"])


def test_it_fires_every_other_friday(job: Job) -> None:
    leader = Leader()
    leader.take_over()
    for day in range(60):
        with time_machine.travel(NINE + dt.timedelta(days=day), tick=False):
            fire(leader)
            Execution.objects.update(status="success")
    fired = Execution.objects.order_by("scheduled_for").values_list("scheduled_for", flat=True)
    assert [f"{one:%m-%d}" for one in fired] == ["12-04", "12-18", "01-01", "01-15", "01-29"]


def test_the_record_tells_which_was_in_force(job: Job, admin: User) -> None:
    with time_machine.travel(NINE + dt.timedelta(days=20), tick=False):
        update_job(job.pk, {"every_nth": 1}, by=admin)
    job.refresh_from_db()
    found = fire_times_between(job, NINE, NINE + dt.timedelta(days=35))
    assert [f"{one:%m-%d}" for one in found] == ["12-04", "12-18", "12-25", "01-01", "01-08"]
    assert explain(job, NINE + dt.timedelta(days=7)).answer == "not_scheduled"


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"every_nth": 2}, "counted_from"), ({"every_nth": 0}, "every_nth"), ({"every_nth": 367}, "every_nth"),
        ({"every_nth": "2"}, "every_nth"), ({"counted_from": "soon"}, "counted_from"),
        ({"counted_from": "0001-01-01"}, "counted_from"), ({"counted_from": 5}, "counted_from"),
        ({"every_nth": 20, "counted_from": "2024-03-01", "cron_expression": "0 0 29 2 *"}, ""),
        ({"every_nth": 20, "counted_from": "2024-02-01", "cron_expression": "0 0 29 2 *"}, "cron_expression"),
    ],
)  # fmt: skip
def test_what_is_refused_names_the_field(
    api: APIClient, job_body: dict[str, Any], fields: dict[str, Any], wrong: str
) -> None:
    answer = api.post("/api/v2/jobs", {**job_body, **fields}, format="json")
    assert answer.status_code == (400 if wrong else 201)
    assert list(answer.json().get("fields", ())) == [wrong] * bool(wrong)


def test_the_date_can_be_cleared(api: APIClient, job: Job) -> None:
    url = f"/api/v2/jobs/{job.pk}"
    assert api.put(url, {"counted_from": None}, format="json").status_code == 400
    answer = api.put(url, {"counted_from": None, "every_nth": 1}, format="json")
    assert answer.json()["job"]["counted_from"] is None


def test_the_preview_knows_it(api: APIClient) -> None:
    body = {"expression": "0 9 * * 5", "every_nth": 2, "counted_from": "2026-12-04"}
    answer = api.post("/api/v2/jobs/cron-preview", body, format="json").json()
    assert [one["at"][:10] for one in answer["times"]][:3] == ["2026-12-04", "2026-12-18", "2027-01-01"]


def test_before_its_first_day_it_is_not_scheduled(job: Job) -> None:
    for days in (-1, 0.1):
        assert explain(job, NINE + dt.timedelta(days=days)).answer == "not_scheduled"
