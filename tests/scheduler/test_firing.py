"""Firing: the database says what is due, and each fire time gets one execution."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine

from executions.models import Execution, Status
from jobs.models import Job
from jobs.services import set_active, update_job
from scheduler.firing import fire
from scheduler.leadership import Leader, NotLeading
from tests.support.executions import IdleEngine
from tests.support.firing import MINUTE, NOON, MakeJob

pytestmark = pytest.mark.django_db


def times(job: Job, status: str | None = None) -> list[dt.datetime | None]:
    found = Execution.objects.filter(job=job, **({"status": status} if status else {}))
    return list(found.order_by("scheduled_for").values_list("scheduled_for", flat=True))


def test_a_due_job_gets_one_execution_and_its_next_fire_time(
    make_job: MakeJob, leader: Leader, handed: list[Any]
) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(cron_expression="* * * * *")
    with time_machine.travel(NOON + MINUTE, tick=False):
        fire(leader)
        fire(leader)
    assert times(job) == [NOON + MINUTE]
    assert [delivery.job_id for delivery in handed] == [job.pk]
    job.refresh_from_db()
    assert job.next_run_at == NOON + 2 * MINUTE
    assert (job.last_execution_at, job.last_status) == (NOON + MINUTE, "running")


def test_nothing_is_due_before_its_time(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    with time_machine.travel(NOON, tick=False):
        make_job(cron_expression="* * * * *")
        fire(leader)
    with time_machine.travel(NOON + MINUTE - dt.timedelta(microseconds=1), tick=False):
        fire(leader)
    assert handed == []


def test_a_fire_time_that_has_an_execution_is_not_fired_again(
    make_job: MakeJob, leader: Leader, handed: list[Any]
) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(cron_expression="* * * * *")
    with time_machine.travel(NOON + MINUTE, tick=False):
        fire(leader)
        Job.objects.update(next_run_at=NOON + MINUTE)
        fire(leader)
    assert len(handed) == 1
    assert times(job) == [NOON + MINUTE]


def test_after_downtime_the_latest_is_run_and_the_others_are_recorded_as_missed(
    make_job: MakeJob, leader: Leader, handed: list[Any]
) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(cron_expression="* * * * *")
    with time_machine.travel(NOON + 5 * MINUTE + dt.timedelta(seconds=30), tick=False):
        fire(leader)
    assert times(job, Status.RUNNING) == [NOON + 5 * MINUTE]
    assert times(job, Status.MISSED) == [NOON + n * MINUTE for n in range(1, 5)]
    assert len(handed) == 1
    missed = Execution.objects.filter(status=Status.MISSED).first()
    assert missed is not None
    assert "4 missed" in missed.error_message


def test_a_clock_that_jumps_back_fires_nothing_twice(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(cron_expression="* * * * *")
    for minutes in (1, 2, 1, 0, 2, 3):
        with time_machine.travel(NOON + minutes * MINUTE, tick=False):
            fire(leader)
    assert times(job) == [NOON + n * MINUTE for n in (1, 2, 3)]
    assert len(handed) == 3


def test_a_void_token_fires_nothing(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    with time_machine.travel(NOON, tick=False):
        make_job(cron_expression="* * * * *")
    Leader().take_over()
    with time_machine.travel(NOON + MINUTE, tick=False), pytest.raises(NotLeading):
        fire(leader)
    assert not Execution.objects.exists()
    assert handed == []


@pytest.mark.parametrize("act", ["pause", "delete"])
def test_a_job_paused_or_deleted_between_due_and_fire_is_not_executed(
    make_job: MakeJob, leader: Leader, handed: list[Any], act: str
) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(cron_expression="* * * * *")
    with time_machine.travel(NOON + MINUTE, tick=False):
        job.delete() if act == "delete" else set_active(job, False, by=None)
        fire(leader)
    assert handed == []


def test_resuming_never_fires_for_the_past(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(cron_expression="* * * * *")
        set_active(job, False, by=None)
    with time_machine.travel(NOON + 10.5 * MINUTE, tick=False):
        set_active(job, True, by=None)
        fire(leader)
        assert handed == []
        job.refresh_from_db()
        assert job.next_run_at == NOON + 11 * MINUTE


def test_creating_and_editing_never_fire_for_the_past(
    make_job: MakeJob, leader: Leader, handed: list[Any], admin: Any
) -> None:
    with time_machine.travel(NOON + dt.timedelta(seconds=30), tick=False):
        job = make_job(cron_expression="0 12 * * *")
        update_job(job.pk, {"cron_expression": "0 11,12 * * *"}, by=admin)
        fire(leader)
        assert handed == []
        job.refresh_from_db()
        assert job.next_run_at == NOON + dt.timedelta(hours=23)


def test_an_edit_in_the_last_second_of_a_minute_touches_no_other_job(
    make_job: MakeJob, leader: Leader, handed: list[Any], admin: Any
) -> None:
    with time_machine.travel(NOON, tick=False):
        edited, other = make_job(cron_expression="* * * * *"), make_job(name="Other", cron_expression="* * * * *")
    with time_machine.travel(NOON + dt.timedelta(seconds=59, milliseconds=900), tick=False):
        update_job(edited.pk, {"cron_expression": "0 0 1 1 *"}, by=admin)
    with time_machine.travel(NOON + MINUTE, tick=False):
        fire(leader)
    assert [delivery.job_id for delivery in handed] == [other.pk]


def test_an_edit_after_a_fire_time_keeps_that_fire_time(
    make_job: MakeJob, leader: Leader, handed: list[Any], admin: Any
) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(cron_expression="* * * * *")
    with time_machine.travel(NOON + MINUTE + dt.timedelta(milliseconds=5), tick=False):
        update_job(job.pk, {"cron_expression": "*/30 * * * *"}, by=admin)
        fire(leader)
    assert times(job) == [NOON + MINUTE]
    job.refresh_from_db()
    assert job.next_run_at == NOON + 30 * MINUTE


def test_nothing_fires_after_the_end_date(make_job: MakeJob, leader: Leader, handed: list[Any]) -> None:
    last = dt.datetime(2026, 11, 24, 14, 59, tzinfo=dt.UTC)  # 23:59 JST
    with time_machine.travel(last - dt.timedelta(seconds=30), tick=False):
        job = make_job(cron_expression="* * * * *", end_date="2026-11-24")
    for minutes in (0, 1, 2):
        with time_machine.travel(last + minutes * MINUTE, tick=False):
            fire(leader)
    assert times(job) == [last]
    job.refresh_from_db()
    assert job.next_run_at is None


def test_fire_times_missed_before_the_end_date_are_made_up_for_after_it(
    make_job: MakeJob, leader: Leader, handed: list[Any]
) -> None:
    last = dt.datetime(2026, 11, 24, 14, 59, tzinfo=dt.UTC)
    with time_machine.travel(last - 1.5 * MINUTE, tick=False):
        job = make_job(cron_expression="* * * * *", end_date="2026-11-24")
    with time_machine.travel(last + 10 * MINUTE, tick=False):
        fire(leader)
    assert times(job, Status.RUNNING) == [last]
    assert times(job, Status.MISSED) == [last - MINUTE]


def test_a_schedule_that_has_become_unusable_stops_nobody_elses_job(
    make_job: MakeJob, leader: Leader, handed: list[Any]
) -> None:
    with time_machine.travel(NOON, tick=False):
        broken, sound = make_job(cron_expression="* * * * *"), make_job(name="Sound", cron_expression="* * * * *")
    Job.objects.filter(pk=broken.pk).update(cron_expression="61 * * * *")
    with time_machine.travel(NOON + MINUTE, tick=False):
        fire(leader)
    broken.refresh_from_db()
    assert (broken.next_run_at, broken.problem != "") == (None, True)
    assert [delivery.job_id for delivery in handed] == [sound.pk]


def test_many_jobs_cost_a_constant_number_of_queries_a_chunk(
    make_job: MakeJob, leader: Leader, handed: list[Any], django_assert_max_num_queries: Any
) -> None:
    with time_machine.travel(NOON, tick=False):
        for number in range(40):
            make_job(name=f"job {number}", cron_expression="* * * * *")
    with time_machine.travel(NOON + MINUTE, tick=False), django_assert_max_num_queries(15):
        fire(leader)
    assert len(handed) == 40


def test_storing_outcomes_waits_while_chunks_follow_one_another(
    make_job: MakeJob, leader: Leader, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, sizes = IdleEngine(), list[tuple[bool, int]]()
    monkeypatch.setattr(engine, "submit", lambda deliveries: sizes.append((engine.in_burst, len(deliveries))))
    monkeypatch.setattr("executions.delivery.engine.local_engine", lambda: engine)
    monkeypatch.setattr("scheduler.firing.CHUNK", 1)
    with time_machine.travel(NOON, tick=False):
        for number in range(4):
            make_job(name=f"job {number}", cron_expression="* * * * *")
    with time_machine.travel(NOON + MINUTE, tick=False):
        fire(leader)
    assert sizes == [(False, 1), (True, 2), (True, 1)]
    assert not engine.in_burst
