"""Misfire and overlap policies: which due fire times run, wait, are skipped or missed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine

from executions.models import Execution, Status
from jobs.services import pause_expired, update_job
from scheduler.firing import fire
from scheduler.leadership import Leader
from tests.support.firing import MINUTE, NOON, MakeJob, fire_at, made_at_noon, statuses

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]


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

    @pytest.mark.parametrize(
        ("policy", "expected"),
        [("skip", {"missed": 2, "running": 3}), ("run_once", {"missed": 2, "running": 3}), ("run_all", {"running": 5})],
    )
    def test_every_fire_time_within_the_grace_runs(
        self, make_job: MakeJob, leader: Leader, policy: str, expected: dict[str, int]
    ) -> None:
        job = made_at_noon(make_job, misfire_policy=policy, misfire_grace_seconds=200)
        fire_at(leader, self.late)
        assert statuses(job) == expected

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
