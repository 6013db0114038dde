"""Policies of a job: what late, overlapping and failing executions come to."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db.models import JSONField, Value

from executions import engine, recovery
from executions.models import Execution, Status
from jobs.models import Job
from jobs.services import pause_expired, update_job
from notifications.models import Event
from scheduler import firing
from scheduler.firing import fire
from scheduler.leadership import Leader
from scheduler.reconcile import repair

pytestmark = pytest.mark.django_db
NOON = dt.datetime(2026, 11, 24, 3, 0, tzinfo=dt.UTC)  # 12:00 JST
MINUTE = dt.timedelta(minutes=1)
MakeJob = Callable[..., Job]


@pytest.fixture(autouse=True)
def handed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    deliveries: list[Any] = []
    monkeypatch.setattr(firing, "hand_over", deliveries.extend)
    monkeypatch.setattr(recovery, "hand_over", deliveries.extend)
    monkeypatch.setattr(engine, "worker_id", uuid.uuid4)
    return deliveries


@pytest.fixture
def leader() -> Leader:
    leader = Leader()
    leader.take_over()
    return leader


def fire_at(leader: Leader, moment: dt.datetime) -> None:
    with time_machine.travel(moment, tick=False):
        fire(leader)


def made_at_noon(make_job: MakeJob, **changes: Any) -> Job:
    with time_machine.travel(NOON, tick=False):
        return make_job(cron_expression="* * * * *", **changes)


def statuses(job: Job) -> dict[str, int]:
    return dict(Counter(Execution.objects.filter(job=job).values_list("status", flat=True)))


class TestMisfire:
    late = NOON + 5 * MINUTE + dt.timedelta(seconds=45)

    @pytest.mark.parametrize(
        ("policy", "grace", "expected"),
        [
            ("skip", 30, {"missed": 5}),
            ("skip", 60, {"missed": 4, "running": 1}),
            ("run_once", 30, {"missed": 4, "running": 1}),
            ("run_all", 30, {"running": 5}),
        ],
    )
    def test_after_downtime(
        self, make_job: MakeJob, leader: Leader, policy: str, grace: int, expected: dict[str, int]
    ) -> None:
        job = made_at_noon(make_job, misfire_policy=policy, misfire_grace_seconds=grace)
        fire_at(leader, self.late)
        assert statuses(job) == expected
        job.refresh_from_db()
        assert job.next_run_at == NOON + 6 * MINUTE

    def test_running_all_is_bounded_and_quick_after_years(self, make_job: MakeJob, leader: Leader) -> None:
        job = made_at_noon(make_job, misfire_policy="run_all")
        fire_at(leader, NOON + dt.timedelta(days=1000))
        assert statuses(job) == {"running": 100}

    def test_what_was_missed_says_so(self, make_job: MakeJob, leader: Leader) -> None:
        job = made_at_noon(make_job)
        fire_at(leader, NOON + dt.timedelta(days=1))
        missed = Execution.objects.filter(job=job, status=Status.MISSED)
        assert missed.count() == 99
        assert "more than 99 missed" in missed[0].error_message


class TestOverlap:
    def run(self, leader: Leader, minutes: int) -> None:
        for minute in range(1, minutes + 1):
            fire_at(leader, NOON + minute * MINUTE)

    @pytest.mark.parametrize(
        ("policy", "expected"),
        [
            ("allow", {"running": 3}),
            ("skip", {"running": 1, "skipped": 2}),
            ("queue_one", {"running": 1, "queued": 1, "skipped": 1}),
        ],
    )
    def test_while_an_execution_is_under_way(
        self, make_job: MakeJob, leader: Leader, policy: str, expected: dict[str, int]
    ) -> None:
        job = made_at_noon(make_job, overlap_policy=policy)
        self.run(leader, 3)
        assert statuses(job) == expected

    def test_the_queued_one_runs_when_the_one_before_has_ended(
        self, make_job: MakeJob, leader: Leader, handed: list[Any]
    ) -> None:
        job = made_at_noon(make_job, overlap_policy="queue_one")
        self.run(leader, 2)
        assert len(handed) == 1
        Execution.objects.filter(status=Status.RUNNING).update(status=Status.SUCCESS)
        fire_at(leader, NOON + 2 * MINUTE + dt.timedelta(seconds=10))
        assert statuses(job) == {"success": 1, "running": 1}
        assert [d.execution_id for d in handed] == list(
            Execution.objects.order_by("scheduled_for").values_list("pk", flat=True)
        )

    def test_skipped_tells_why_and_a_finished_one_makes_way(self, make_job: MakeJob, leader: Leader) -> None:
        job = made_at_noon(make_job, overlap_policy="skip")
        self.run(leader, 2)
        skipped = Execution.objects.get(status=Status.SKIPPED)
        assert skipped.error_message == "skipped: the execution before was still under way (overlap policy: skip)"
        Execution.objects.filter(status=Status.RUNNING).update(status=Status.FAILED)
        fire_at(leader, NOON + 3 * MINUTE)
        assert statuses(job) == {"failed": 1, "skipped": 1, "running": 1}


def test_nothing_fires_before_the_start_date(make_job: MakeJob, leader: Leader) -> None:
    job = made_at_noon(make_job, start_date="2026-11-26")
    assert job.next_run_at == dt.datetime(2026, 11, 25, 15, 0, tzinfo=dt.UTC)
    fire_at(leader, NOON + dt.timedelta(days=1))
    assert statuses(job) == {}
    fire_at(leader, dt.datetime(2026, 11, 25, 15, 0, tzinfo=dt.UTC))
    assert statuses(job) == {"running": 1}


def test_jitter_is_a_stable_offset_before_the_call(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    jobs = [made_at_noon(make_job, name=f"job {n}", jitter_seconds=30) for n in range(20)]
    fire_at(leader, NOON + MINUTE)
    fire_at(leader, NOON + 2 * MINUTE)
    delays = {job.pk: {d.delay for d in handed if d.job_id == job.pk} for job in jobs}
    assert all(len(found) == 1 for found in delays.values())
    spread = {next(iter(found)) for found in delays.values()}
    assert len(spread) > 5
    assert all(0 <= delay <= 30 for delay in spread)
    assert {e.scheduled_for for e in Execution.objects.all()} == {NOON + MINUTE, NOON + 2 * MINUTE}


def test_policies_reach_the_engine(make_job: MakeJob, leader: Leader, handed: list[Any], team: Any) -> None:
    team.max_concurrent = 3
    team.save()
    made_at_noon(
        make_job,
        timeout_seconds=20,
        connect_timeout_seconds=3,
        max_attempts=4,
        retry_backoff_seconds=7,
        retry_on=["5xx"],
    )
    fire_at(leader, NOON + MINUTE)
    delivery = handed[0]
    assert (delivery.timeout, delivery.connect_timeout) == (20, 3)
    assert delivery.retry == (4, 7, 3600, frozenset({"5xx"}))
    assert [key.limit for key in delivery.keys] == [500, 3]


def test_a_row_that_cannot_be_read_stops_nobody_elses_job(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    from django.db import connection

    broken, sound = made_at_noon(make_job), made_at_noon(make_job, name="Sound")
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("UPDATE jobs_job SET end_date = '2026-99-99' WHERE id = %s", [broken.pk.hex])
    else:
        Job.objects.filter(pk=broken.pk).update(cron_expression="bad")
    fire_at(leader, NOON + MINUTE)
    assert [d.job_id for d in handed] == [sound.pk]
    assert Job.objects.filter(pk=broken.pk).values_list("problem", flat=True)[0]


def test_an_unusable_schedule_is_told_on_the_job_and_in_a_notification(
    make_job: MakeJob, leader: Leader, api: Any
) -> None:
    job = made_at_noon(make_job)
    Job.objects.filter(pk=job.pk).update(cron_expression="61 * * * *")
    fire_at(leader, NOON + MINUTE)
    shown = api.get(f"/api/v2/jobs/{job.pk}").json()["job"]
    assert "out of range" in shown["problem"]
    told = Event.objects.get(title="Job cannot be scheduled")
    assert (told.type, told.job_id, told.audience) == ("error", job.pk, "owner_and_admins")
    mended = api.put(f"/api/v2/jobs/{job.pk}", {"cron_expression": "* * * * *"}).json()["job"]
    assert (mended["problem"], mended["next_execution_at"] is not None) == (None, True)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("misfire_policy", "sometimes"), ("overlap_policy", 5), ("misfire_grace_seconds", 0), ("timeout_seconds", 3601), ("max_attempts", "3"),
        ("max_attempts", True), ("retry_on", "5xx"), ("retry_on", ["404"]), ("jitter_seconds", -1), ("start_date", "soon"), ("start_date", "2100-01-01"),
    ],
)  # fmt: skip
def test_a_bad_policy_is_named(api: Any, job_body: dict[str, Any], field: str, value: Any) -> None:
    answer = api.post("/api/v2/jobs", {**job_body, field: value})
    assert answer.status_code == 400
    assert list(answer.json()["fields"]) == [field]


def test_a_due_fire_time_of_the_last_day_is_not_lost_to_the_end_date(make_job: MakeJob, leader: Leader) -> None:
    last = dt.datetime(2026, 11, 24, 14, 59, tzinfo=dt.UTC)  # 23:59 JST
    with time_machine.travel(last - 1.5 * MINUTE, tick=False):
        job = make_job(cron_expression="* * * * *", end_date="2026-11-24")
    with time_machine.travel(last + 5 * MINUTE, tick=False):
        assert pause_expired() == []
        fire(leader)
        assert statuses(job) == {"missed": 1, "running": 1}
        assert [paused.pk for paused in pause_expired()] == [job.pk]


def test_a_start_date_set_while_a_fire_time_was_due_counts_after_it(
    make_job: MakeJob, leader: Leader, admin: Any
) -> None:
    job = made_at_noon(make_job)
    with time_machine.travel(NOON + MINUTE, tick=False):
        update_job(job.pk, {"start_date": "2026-12-01"}, by=admin)
        fire(leader)
    job.refresh_from_db()
    assert statuses(job) == {"running": 1}
    assert job.next_run_at == dt.datetime(2026, 11, 30, 15, 0, tzinfo=dt.UTC)


def test_a_row_that_cannot_be_read_does_not_end_a_full_pass(make_job: MakeJob, leader: Leader) -> None:
    from django.db import connection

    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL stores no such date")
    broken, sound = made_at_noon(make_job), made_at_noon(make_job, name="Sound")
    Job.objects.update(next_run_at=None)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE jobs_job SET end_date = '2099-02-31' WHERE id = %s", [broken.pk.hex])
    assert repair() == 1
    sound.refresh_from_db()
    assert sound.next_run_at is not None
    assert Job.objects.filter(pk=broken.pk).values_list("problem", flat=True)[0]


@pytest.mark.parametrize("changes", [{"target_url": "example.com"}, {"retry_on": None, "max_attempts": 3}])
def test_a_job_that_was_broken_by_hand_is_put_aside_alone(
    make_job: MakeJob, leader: Leader, handed: list[Any], changes: dict[str, Any]
) -> None:
    broken, sound = made_at_noon(make_job), made_at_noon(make_job, name="Sound")
    Job.objects.filter(pk=broken.pk).update(
        **{k: Value(None, JSONField()) if v is None else v for k, v in changes.items()}
    )
    fire_at(leader, NOON + MINUTE)
    assert [delivery.job_id for delivery in handed] == [sound.pk]
    assert statuses(broken) == {}
    broken.refresh_from_db()
    assert broken.problem


def test_a_queued_dispatch_runs_when_its_turn_comes(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    job = made_at_noon(make_job, target_url="acme/shop/ci.yml", overlap_policy="queue_one")
    fire_at(leader, NOON + MINUTE)
    fire_at(leader, NOON + 2 * MINUTE)
    Execution.objects.filter(status=Status.RUNNING).update(status=Status.SUCCESS)
    fire_at(leader, NOON + 2 * MINUTE + dt.timedelta(seconds=5))
    assert statuses(job) == {"success": 1, "running": 1}
    assert len(handed) == 2
