"""Single runs, filling and batches over the API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import User
from executions.models import Batch, BatchRun, Execution, Status
from jobs.models import Job
from tests.support.executions import ran
from tests.support.firing import NOON

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    with time_machine.travel(NOON - HOUR, tick=False):
        job = make_job(cron_expression="0 * * * *", end_date="2027-12-31", metadata={"api_key": "s3cret"})
    # The leader has fired what was due.
    Job.objects.update(next_run_at=NOON + 99 * HOUR)
    return job


@pytest.fixture(autouse=True)
def _afternoon() -> Any:
    with time_machine.travel(NOON + 3.5 * HOUR, tick=False):
        yield


def test_a_single_run_is_planned_listed_and_cancelled(api: APIClient, job: Job, admin: User) -> None:
    url = f"/api/v2/jobs/{job.pk}/single-runs"
    body = {"at": "2026-11-25T09:00:00+09:00", "metadata": {"suite": "smoke"}}
    answer = api.post(url, body, format="json")
    assert answer.status_code == 201
    run = answer.json()["single_run"]
    assert run == {
        "id": run["id"],
        "job_id": str(job.pk),
        "at": "2026-11-25T00:00:00.000Z",
        "overrides": {"metadata": {"suite": "smoke"}},
        "made_by": admin.email,
    }
    assert api.get(url).json() == {"single_runs": [run]}
    assert api.delete(f"{url}/{run['id']}").json() == {"message": "Single run cancelled"}
    assert api.get(url).json() == {"single_runs": []}
    assert api.delete(f"{url}/{run['id']}").status_code == 409
    assert api.delete(f"{url}/999999").json()["error"] == "Single run not found"


def test_secret_values_of_a_single_run_are_masked_for_others(
    api: APIClient, client_of: Callable[[User], APIClient], viewer: User, job: Job
) -> None:
    url = f"/api/v2/jobs/{job.pk}/single-runs"
    api.post(url, {"at": "2026-11-25T09:00:00+09:00", "metadata": {"api_key": "s3cret"}}, format="json")
    assert "s3cret" in api.get(url).content.decode()
    assert "s3cret" not in client_of(viewer).get(url).content.decode()


def test_a_dry_run_fills_nothing(api: APIClient, job: Job) -> None:
    failed = ran(job, Status.FAILED)
    Execution.objects.filter(pk=failed.pk).update(scheduled_for=NOON)
    body = {"from": "2026-11-24T12:00:00+09:00", "to": "2026-11-24T14:00:00+09:00", "which": "all", "dry_run": True}
    answer = api.post(f"/api/v2/jobs/{job.pk}/fill", body, format="json").json()
    assert answer["message"] == "3 fire times would be filled"
    assert answer["batch"] is None
    assert answer["fire_times"][0] == {
        "fire_time": "2026-11-24T03:00:00.000Z", "execution_id": str(failed.pk), "status": "failed"}  # fmt: skip
    assert not Batch.objects.exists()
    filled = api.post(f"/api/v2/jobs/{job.pk}/fill", {**body, "dry_run": False, "at_once": 3}, format="json").json()
    assert filled["batch"]["progress"] == {"done": 0, "failed": 0, "open": 0, "left": 3}
    assert filled["batch"]["at_once"] == 3
    assert BatchRun.objects.count() == 3


def test_batches_are_listed_paused_resumed_and_cancelled(api: APIClient, job: Job) -> None:
    body = {"from": "2026-11-24T12:00:00+09:00", "to": "2026-11-24T14:00:00+09:00"}
    batch = api.post(f"/api/v2/jobs/{job.pk}/fill", body, format="json").json()["batch"]
    listed = api.get("/api/v2/batches").json()
    assert (listed["total"], listed["batches"]) == (1, [batch])
    url = f"/api/v2/batches/{batch['id']}"
    assert api.get(url).json() == {"batch": batch}
    assert api.post(f"{url}/pause").json()["batch"]["paused_at"] is not None
    assert api.post(f"{url}/resume").json()["batch"]["paused_at"] is None
    assert api.post(f"{url}/cancel").json()["message"] == "Batch cancelled"
    assert api.post(f"{url}/cancel").status_code == 409
    assert api.get("/api/v2/batches/x").status_code == 404


def test_others_may_not(
    api: APIClient, client_of: Callable[[User], APIClient], user: User, viewer: User, job: Job
) -> None:
    body = {"from": "2026-11-24T12:00:00+09:00", "to": "2026-11-24T14:00:00+09:00"}
    batch = api.post(f"/api/v2/jobs/{job.pk}/fill", body, format="json").json()["batch"]
    for one in (user, viewer):
        client = client_of(one)
        assert client.post(f"/api/v2/jobs/{job.pk}/fill", body, format="json").status_code == 403
        plan = {"at": "2026-11-25T09:00:00+09:00"}
        assert client.post(f"/api/v2/jobs/{job.pk}/single-runs", plan, format="json").status_code == 403
        assert client.post(f"/api/v2/batches/{batch['id']}/cancel").status_code == 403
        assert client.get(f"/api/v2/batches/{batch['id']}").status_code == 200
    assert Client().get("/api/v2/batches").status_code == 401


@pytest.mark.parametrize(
    ("body", "field"), [({}, "from"), ({"from": "2026-11-24T12:00"}, "to"), ({"dry_run": "yes"}, "dry_run")]
)
def test_what_is_refused_names_the_field(api: APIClient, job: Job, body: dict[str, Any], field: str) -> None:
    full = {"from": "2026-11-24T12:00", "to": "2026-11-24T14:00", **body} if field == "dry_run" else body
    answer = api.post(f"/api/v2/jobs/{job.pk}/fill", full, format="json")
    assert answer.status_code == 400
    assert next(iter(answer.json()["fields"])) == field


def test_the_url_of_a_single_run_is_masked_for_others(
    api: APIClient, client_of: Callable[[User], APIClient], viewer: User, job: Job
) -> None:
    url = f"/api/v2/jobs/{job.pk}/single-runs"
    target = "https://u:pw123@hooks.example.com/services/T0/B0/s3cr3t?token=qwxyz"
    assert api.post(url, {"at": "2026-11-25T09:00:00+09:00", "target_url": target}, format="json").status_code == 201
    assert target in api.get(url).content.decode()
    seen = client_of(viewer).get(url).content.decode()
    assert not {word for word in ("pw123", "s3cr3t", "qwxyz") if word in seen}


def test_a_list_of_batches_costs_the_same_whatever_their_number(
    api: APIClient, job: Job, django_assert_num_queries: Any
) -> None:
    for hour in range(1, 4):
        body = {"from": f"2026-11-24T1{hour}:00:00+09:00", "to": f"2026-11-24T1{hour}:30:00+09:00"}
        api.post(f"/api/v2/jobs/{job.pk}/fill", body, format="json")
    with django_assert_num_queries(6):
        api.get("/api/v2/batches?limit=1")
    with django_assert_num_queries(6):
        api.get("/api/v2/batches?limit=50")
