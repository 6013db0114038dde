"""Why a job did or did not run at a time, or will."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from audit.models import ChangeRecord
from executions.batches import single_run, start
from executions.models import Execution, Status
from jobs.models import Job
from jobs.services import delete_job, pause_expired, set_active, update_job
from scheduler.explain import explain
from scheduler.leadership import Leader
from scheduler.models import Leadership
from windows import services as windows

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)  # 12:00 JST
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)


def at(moment: dt.datetime) -> Any:
    return time_machine.travel(moment, tick=False)


def led(start: dt.datetime, end: dt.datetime) -> None:
    """Some scheduler led from `start` to `end`."""
    leader = Leader()
    leader.take_over()
    from scheduler.models import LeaderTerm

    LeaderTerm.objects.update(started_at=start)
    Leadership.objects.update(heartbeat_at=end)


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    with at(NOON - HOUR):
        return make_job(cron_expression="0 * * * *")


def answer(job: Job, moment: dt.datetime, now: dt.datetime = NOON + 12 * HOUR) -> tuple[str, str]:
    with at(now):
        found = explain(Job.objects.get(pk=job.pk), moment)
    return found.answer, found.message


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status.SUCCESS, "succeeded"), (Status.FAILED, "It failed: reason"), (Status.RUNNING, "running"),
        (Status.SKIPPED, "It was reason"),
        (Status.MISSED, "It was reason"), (Status.QUEUED, "waits"), (Status.CANCELLED, "cancelled"),
    ],
)  # fmt: skip
def test_an_execution_on_record(job: Job, status: Status, said: str) -> None:
    Execution.objects.create(
        job=job,
        status=status,
        scheduled_for=NOON,
        trigger_type="scheduled",
        execution_type="webhook",
        target="x",
        error_message="" if status == Status.QUEUED else "reason",
    )
    found, message = answer(job, NOON + dt.timedelta(seconds=30))
    assert found == status.value
    assert said in message


def test_an_execution_on_record_tells_its_closed_day_and_from_when_it_was_moved(job: Job) -> None:
    why = "skipped: closed day 成人の日 (calendar Tokyo office)"
    values = {"job": job, "trigger_type": "scheduled", "execution_type": "webhook", "target": "x"}
    Execution.objects.create(status=Status.SKIPPED, scheduled_for=NOON, error_message=why, **values)
    later = NOON + dt.timedelta(days=3)
    Execution.objects.create(status=Status.SUCCESS, scheduled_for=later, nominal_for=NOON, **values)
    assert explain(job, NOON).facts["closed_day"]["label"] == "成人の日"
    assert explain(job, later).facts["shifted_from"].startswith("2026-11-24T12:00")


def test_before_it_existed(job: Job) -> None:
    assert answer(job, NOON - 5 * HOUR)[0] == "did_not_exist"


def test_paused_by_whom_and_since_when(job: Job, admin: Any) -> None:
    with at(NOON + 0.5 * HOUR):
        set_active(job, False, by=admin)
    with at(NOON + 3.5 * HOUR):
        set_active(job, True, by=admin)
    assert answer(job, NOON + HOUR) == ("paused", "It was paused, by ada@example.com, since 2026-11-24T12:30:00+09:00.")
    assert answer(job, NOON + 4 * HOUR)[0] == "no_leader"


def test_the_schedule_in_force_then_counts(job: Job, admin: Any) -> None:
    led(NOON - HOUR, NOON + 12 * HOUR)
    Job.objects.update(next_run_at=NOON + 24 * HOUR)
    with at(NOON + 1.5 * HOUR):
        update_job(job.pk, {"cron_expression": "30 * * * *"}, by=admin)
    Job.objects.update(next_run_at=NOON + 24 * HOUR)
    assert answer(job, NOON + 1.5 * HOUR - 0.5 * HOUR)[0] == "not_recorded"
    assert answer(job, NOON + 2 * HOUR)[0] == "not_scheduled"
    assert answer(job, NOON + 0.5 * HOUR)[0] == "not_scheduled"
    assert answer(job, NOON + 2.5 * HOUR)[0] == "not_recorded"


def test_expired_and_not_started(job: Job) -> None:
    Job.objects.update(end_date="2026-11-24", start_date="2026-11-24")
    assert answer(job, NOON + 24 * HOUR)[0] == "expired"
    ChangeRecord.objects.all().delete()
    Job.objects.update(start_date="2026-11-25", end_date="2026-12-24")
    assert answer(job, NOON)[0] == "not_started"
    with at(NOON + 2000 * HOUR):
        pause_expired()
    assert answer(job, NOON + 2001 * HOUR)[0] == "expired"


def test_no_leader_and_none_since(job: Job) -> None:
    found, message = answer(job, NOON)
    assert (found, message) == ("no_leader", "No scheduler led at that time.")
    led(NOON - HOUR, NOON + 0.5 * HOUR)
    Job.objects.update(next_run_at=NOON + 24 * HOUR)
    assert answer(job, NOON)[0] == "not_recorded"
    found, message = answer(job, NOON + HOUR)
    assert found == "no_leader"
    assert "last one was seen at 2026-11-24T12:30:00+09:00" in message


def test_a_time_to_come(job: Job) -> None:
    assert answer(job, NOON + 24 * HOUR)[0] == "will_run"
    assert answer(job, NOON + 24 * HOUR + MINUTE)[0] == "not_scheduled"


def test_what_became_unusable(job: Job) -> None:
    Job.objects.update(cron_expression="99 * * * *")
    assert answer(job, NOON + 24 * HOUR)[0] == "unusable"


def test_the_trail_tells_differences_and_no_secrets(job: Job, admin: Any) -> None:
    update_job(
        job.pk,
        {
            "metadata": {"token": "s3cret"},
            "target_url": "https://u:s3cret@x.example.com/?key=s3cret",
            "timeout_seconds": 20,
        },
        by=admin,
    )
    delete_job(job.pk, by=admin)
    records = list(ChangeRecord.objects.filter(subject="job").order_by("at", "id"))
    assert [(r.kind, r.by_email) for r in records] == [
        ("created", "ada@example.com"),
        ("updated", "ada@example.com"),
        ("deleted", "ada@example.com"),
    ]
    assert records[1].difference["timeout_seconds"] == [10, 20]
    assert records[1].difference["metadata"] == [[], ["token"]]
    assert "s3cret" not in str(records[1].difference)


def test_the_api(job: Job, api: Any) -> None:
    found = api.get(f"/api/v2/jobs/{job.pk}/explain", {"at": "2026-11-24T12:00"}).json()
    assert (found["at"], found["answer"], found["job_name"]) == ("2026-11-24T03:00:00.000Z", "no_leader", "Nightly")
    assert api.get(f"/api/v2/jobs/{job.pk}/explain", {"at": "noon"}).json()["error"] == "Invalid date"
    assert api.get("/api/v2/jobs/x/explain").status_code == 404
    assert api.get(f"/api/v2/jobs/{job.pk}/explain").status_code == 200


def test_the_admin_page(job: Job, admin: Any) -> None:
    browser = Client()
    browser.force_login(admin)
    page = reverse("admin:jobs_job_explain", args=[job.pk])
    assert page in browser.get(reverse("admin:jobs_job_view", args=[job.pk])).content.decode()
    assert "Choose a past minute" in browser.get(page).content.decode()
    assert "No scheduler led" in browser.get(page, {"at": "2026-11-24T12:00"}).content.decode()
    assert "Write a datetime" in browser.get(page, {"at": "x"}).content.decode()
    assert "no job" in browser.get(reverse("admin:jobs_job_explain", args=["x"])).content.decode()


def test_a_single_run(job: Job, admin: Any) -> None:
    moment = NOON + 7 * MINUTE
    with at(NOON):
        run = single_run.plan(job.pk, {"at": moment.isoformat()}, by=admin)
        assert answer(job, moment, NOON) == ("will_run", "A single run is planned for this time.")
        windows.create({"name": "Freeze", "is_for_all": True, "ends_at": NOON + HOUR}, by=None)
        assert answer(job, moment, NOON) == ("window", "It will be skipped: window Freeze.")
    with at(moment):
        start.start_due()
        assert answer(job, moment, NOON) == ("skipped", "It was skipped: window Freeze")
    Execution.objects.all().delete()
    assert answer(job, moment, NOON)[0] == "not_recorded"
    with at(NOON):
        later = single_run.plan(job.pk, {"at": (moment + MINUTE).isoformat()}, by=admin)
        single_run.cancel(job, later.pk, by=admin)
        assert answer(job, moment + MINUTE, NOON)[0] == "not_scheduled"
    assert run.pk != later.pk
