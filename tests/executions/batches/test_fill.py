"""Filling fire times of the past, by the schedules that were in force then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from accounts.models import User
from core.api.errors import Conflict, Forbidden, Invalid
from executions.batches import fill, progress, rerun, single_run, start
from executions.models import Batch, Execution, Status
from jobs.models import Job
from jobs.services import set_active, update_job
from tests.support.executions import ran
from tests.support.firing import MINUTE, NOON
from windows import services as windows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]
HOUR = 60 * MINUTE
EVENING = NOON + 6 * HOUR


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    """Hourly since noon; the leader has fired what was due."""
    with time_machine.travel(NOON - MINUTE, tick=False):
        job = make_job(cron_expression="0 * * * *", end_date="2027-12-31")
    return fired(job)


def fired(job: Job) -> Job:
    Job.objects.filter(pk=job.pk).update(next_run_at=NOON + 1000 * HOUR)
    job.refresh_from_db()
    return job


def asked(job: Job, **fields: Any) -> fill.Asked:
    body = {"from": NOON.isoformat(), "to": (NOON + 3 * HOUR).isoformat(), **fields}
    return fill.read(job, body)


def found(job: Job, **fields: Any) -> list[int]:
    """Hours after noon of the fire times to fill."""
    with time_machine.travel(EVENING, tick=False):
        return [round((one.fire_time - NOON) / HOUR) for one in fill.gaps(job, asked(job, **fields))]


def run_of(job: Job, hour: int, status: str) -> Execution:
    execution = ran(job, status)
    Execution.objects.filter(pk=execution.pk).update(scheduled_for=NOON + hour * HOUR)
    return execution


def test_both_ends_are_included(job: Job) -> None:
    assert found(job) == [0, 1, 2, 3]


def test_which_fire_times_are_filled(job: Job) -> None:
    for hour, status in enumerate((Status.SUCCESS, Status.FAILED, Status.SKIPPED, Status.RUNNING)):
        run_of(job, hour, status)
    run_of(job, 4, Status.MISSED)
    to = (NOON + 5 * HOUR).isoformat()
    assert found(job, to=to) == [2, 4, 5]
    assert found(job, to=to, which="failed") == [1]
    assert found(job, to=to, which="all") == [0, 1, 2, 4, 5]


def test_times_to_come_are_none(job: Job) -> None:
    assert found(job, to=(NOON + 99 * HOUR).isoformat()) == [0, 1, 2, 3, 4, 5, 6]


def test_the_schedule_in_force_then_decides(job: Job, admin: User) -> None:
    with time_machine.travel(NOON + 1.5 * HOUR, tick=False):
        update_job(job.pk, {"cron_expression": "30 * * * *"}, by=admin)
    job.refresh_from_db()
    with time_machine.travel(NOON + 2.75 * HOUR, tick=False):
        set_active(job, False, by=admin)
    with time_machine.travel(NOON + 4.75 * HOUR, tick=False):
        set_active(job, True, by=admin)
    fired(job)
    with time_machine.travel(EVENING, tick=False):
        times = fill.gaps(job, asked(job, to=EVENING.isoformat()))
    # 13:30 is the instant of the edit: from then on the new schedule is in force.
    assert [(one.fire_time - NOON) / HOUR for one in times] == [0, 1, 1.5, 2.5, 5.5]


def test_nothing_before_the_job_existed(job: Job) -> None:
    assert found(job, **{"from": (NOON - 99 * HOUR).isoformat(), "to": NOON.isoformat()}) == [0]


def test_runs_say_what_they_make_up_for_and_replace(job: Job, admin: User) -> None:
    failed = run_of(job, 1, Status.FAILED)
    with time_machine.travel(EVENING, tick=False):
        batch = fill.create(job, fill.gaps(job, asked(job, which="failed")), asked(job), by=admin)
        assert start.start_due() == 1
    run = batch.runs.get()
    assert (run.original_id, run.fire_time) == (failed.pk, NOON + HOUR)
    execution = Execution.objects.get(pk=run.execution_id)
    assert (execution.nominal_for, execution.trigger_type) == (NOON + HOUR, "manual")
    assert found(job, which="failed") == []
    Execution.objects.filter(pk=execution.pk).update(status=Status.FAILED)
    assert found(job, which="failed") == [1]


def test_so_many_at_once_oldest_first_and_others_do_not_wait(job: Job, admin: User, make_job: Any) -> None:
    other = make_job(name="other")
    with time_machine.travel(EVENING, tick=False):
        wanted = asked(job, at_once=2)
        batch = fill.create(job, fill.gaps(job, wanted), wanted, by=admin)
        rerun.create([ran(other, Status.FAILED)], "again", minutes=0, by=admin)
        assert start.start_due() == 3
        assert start.start_due() == 0
        started = Execution.objects.filter(job=job).order_by("nominal_for")
        assert [one.nominal_for for one in started] == [NOON, NOON + HOUR]
        started.filter(nominal_for=NOON).update(status=Status.SUCCESS)
        assert start.start_due() == 1
    assert progress.progress(batch) == progress.Progress(1, 0, 2, 1)


def test_a_long_fill_keeps_no_single_run_waiting(job: Job, admin: User) -> None:
    Job.objects.update(cron_expression="* * * * *")
    with time_machine.travel(NOON + MINUTE, tick=False):
        single_run.plan(job.pk, {"at": EVENING.isoformat()}, by=admin)
    with time_machine.travel(EVENING, tick=False):
        wanted = asked(job, at_once=1)
        fill.create(job, [fill.Gap(NOON + number * MINUTE, None) for number in range(900)], wanted, by=admin)
        assert start.start_due() == 2


def test_it_can_be_paused_resumed_and_cancelled(job: Job, admin: User, user: User) -> None:
    with time_machine.travel(EVENING, tick=False):
        batch = fill.create(job, fill.gaps(job, asked(job)), asked(job), by=admin)
        with pytest.raises(Forbidden):
            progress.pause(batch, by=user)
        progress.pause(batch, by=admin)
        assert start.start_due() == 0
        progress.resume(batch, by=admin)
        assert start.start_due() == 1
        assert progress.cancel(batch, by=admin) == 3
        Execution.objects.filter(job=job).update(status=Status.SUCCESS)
        assert start.start_due() == 0
        for verb in (progress.pause, progress.resume, progress.cancel):
            with pytest.raises(Conflict):
                verb(batch, by=admin)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"from": None}, "from"), ({"to": ""}, "to"), ({"from": "x"}, "from"), ({"which": "some"}, "which"),
        ({"at_once": 0}, "at_once"), ({"at_once": 11}, "at_once"), ({"at_once": True}, "at_once"),
        ({"to": "2026-11-24T11:00:00+09:00"}, "to"),
    ],
)  # fmt: skip
def test_what_is_refused_names_the_field(job: Job, fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        asked(job, **fields)
    assert field in (refused.value.fields or {})


def test_at_most_a_thousand_and_never_none(job: Job, admin: User, monkeypatch: pytest.MonkeyPatch) -> None:
    Job.objects.update(cron_expression="* * * * *")
    job.refresh_from_db()
    with time_machine.travel(NOON + 40 * 24 * HOUR, tick=False):
        wide = asked(job, to=(NOON + 17 * HOUR).isoformat())
        with pytest.raises(Invalid, match="1000"):
            fill.gaps(job, wide)
        # Working out 50,000 fire times takes seconds, after which PostgreSQL ends the test's transaction.
        assert fill._MOST_LOOKED_AT < 39 * 24 * 60
        monkeypatch.setattr(fill, "_MOST_LOOKED_AT", 2000)
        with pytest.raises(Invalid, match="too many"):
            fill.gaps(job, asked(job, to=(NOON + 39 * 24 * HOUR).isoformat()))
        with pytest.raises(Invalid, match="No fire time"):
            fill.create(job, [], wide, by=admin)
    assert not Batch.objects.exists()


def test_only_who_may_run_the_job_fills(job: Job, user: User) -> None:
    with pytest.raises(Forbidden):
        fill.create(job, [fill.Gap(NOON, None)], asked(job), by=user)


def test_a_fire_time_of_a_second_in_the_range_is_dt_aware(job: Job) -> None:
    assert asked(job, **{"from": "2026-11-24T12:00"}).first == NOON
    assert asked(job).first.tzinfo is not None
    assert isinstance(asked(job).last, dt.datetime)


def test_what_another_batch_runs_is_not_filled_again(job: Job, admin: User) -> None:
    with time_machine.travel(EVENING, tick=False):
        wanted = asked(job)
        seen = fill.gaps(job, wanted)
        fill.create(job, seen, wanted, by=admin)
        assert fill.gaps(job, wanted) == []
        assert fill.gaps(job, asked(job, which="all")) == []
        with pytest.raises(Invalid, match="No fire time"):
            fill.create(job, seen, wanted, by=admin)
        start.start_due()
        assert fill.gaps(job, asked(job, which="all")) == []


def test_what_the_leader_has_still_to_fire_is_no_gap(job: Job) -> None:
    Job.objects.update(next_run_at=NOON + 2 * HOUR)
    job.refresh_from_db()
    assert found(job) == [0, 1]


def test_what_was_run_again_with_success_is_no_gap(job: Job, admin: User) -> None:
    failed = run_of(job, 1, Status.FAILED)
    with time_machine.travel(EVENING, tick=False):
        batch = rerun.create([failed], "again", minutes=0, by=admin)
        start.start_due()
    again = Execution.objects.get(pk=batch.runs.get().execution_id)
    assert again.nominal_for == NOON + HOUR
    Execution.objects.filter(pk=again.pk).update(status=Status.SUCCESS)
    assert found(job, which="failed") == []


def test_a_job_that_has_ended_is_not_filled(job: Job, admin: User) -> None:
    with time_machine.travel(EVENING, tick=False):
        wanted = asked(job)
        seen = fill.gaps(job, wanted)
        Job.objects.update(end_date="2026-11-23", is_active=False, next_run_at=None)
        job.refresh_from_db()
        with pytest.raises(Invalid, match="end date"):
            fill.create(job, seen, wanted, by=admin)


def test_a_window_holds_it_in_its_order(job: Job, admin: User) -> None:
    with time_machine.travel(EVENING, tick=False):
        wanted = asked(job)
        fill.create(job, fill.gaps(job, wanted), wanted, by=admin)
        windows.create({"name": "Freeze", "effect": "hold", "is_for_all": True, "ends_at": EVENING + HOUR}, by=None)
        assert [start.start_due() for _ in range(3)] == [0, 0, 0]
    for number in range(4):
        with time_machine.travel(EVENING + HOUR + number * MINUTE, tick=False):
            assert start.start_due() == 1
            Execution.objects.filter(job=job).update(status=Status.SUCCESS)
    times = Execution.objects.filter(job=job).order_by("started_at").values_list("nominal_for", flat=True)
    assert list(times) == [NOON + number * HOUR for number in range(4)]
