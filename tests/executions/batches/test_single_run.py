"""Single runs: a job runs at one instant to come, beside its schedule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine

from accounts.models import User
from core.api.errors import Conflict, Forbidden, Invalid, NotFound
from executions import retention, services
from executions.batches import progress, single_run, start
from executions.models import Batch, BatchRun, Execution, PendingOutcome, Status
from jobs.models import Job
from tests.support.firing import MINUTE, NOON
from windows import services as windows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]
HOUR = 60 * MINUTE
LATER = NOON + 2 * HOUR


@pytest.fixture
def job(make_job: Callable[..., Job]) -> Job:
    """Created at noon, and never due by its schedule within these tests."""
    with time_machine.travel(NOON, tick=False):
        return make_job(cron_expression="0 0 1 1 *", end_date="2027-12-31")


def plan(job: Job, by: User, at: dt.datetime = LATER, **data: Any) -> BatchRun:
    with time_machine.travel(NOON, tick=False):
        return single_run.plan(job.pk, {"at": at.isoformat(), **data}, by=by)


def start_at(moment: dt.datetime) -> int:
    with time_machine.travel(moment, tick=False):
        return start.start_due()


def runs(job: Job) -> list[tuple[str, str]]:
    return list(Execution.objects.filter(job=job).order_by("started_at", "pk").values_list("status", "error_message"))


def test_it_runs_once_at_its_time(job: Job, admin: User) -> None:
    plan(job, admin)
    assert start_at(LATER - dt.timedelta(milliseconds=1)) == 0
    assert start_at(LATER) == 1
    assert start_at(LATER + MINUTE) == 0
    execution = Execution.objects.get()
    assert (execution.status, execution.triggered_by, execution.scheduled_for) == ("running", admin, None)
    assert execution.started_at == LATER


def test_it_runs_a_job_that_is_inactive(job: Job, admin: User) -> None:
    Job.objects.update(is_active=False, next_run_at=None)
    plan(job, admin)
    start_at(LATER)
    assert runs(job) == [("running", "")]


def test_it_takes_other_metadata(job: Job, admin: User) -> None:
    plan(job, admin, metadata={"suite": "smoke"})
    start_at(LATER)
    assert Execution.objects.get().overrides == {"metadata": {"suite": "smoke"}}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"at": ""}, "at"), ({"at": "tomorrow"}, "at"), ({"at": "2026-11-24T11:59:00+09:00"}, "at"),
        ({"at": "2028-01-01T00:00:00+09:00"}, "at"), ({"at": "9999-01-01T00:00:00"}, "at"), ({"at": 5}, "at"),
        ({"github_token": "x"}, "github_token"), ({"metadata": "x"}, "metadata"),
    ],
)  # fmt: skip
def test_what_is_refused_names_the_field(job: Job, admin: User, data: dict[str, Any], field: str) -> None:
    body = {"at": LATER.isoformat(), **data}
    with time_machine.travel(NOON, tick=False), pytest.raises(Invalid) as refused:
        single_run.plan(job.pk, body, by=admin)
    assert field in (refused.value.fields or {})
    assert not Batch.objects.exists()


def test_a_time_without_offset_is_in_the_jobs_zone(make_job: Callable[..., Job], admin: User) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(time_zone="Europe/Berlin")
        run = single_run.plan(job.pk, {"at": "2026-11-24T18:00"}, by=admin)
    assert run.due_at == dt.datetime(2026, 11, 24, 17, tzinfo=dt.UTC)


def test_only_who_may_run_the_job_plans_a_run(job: Job, user: User) -> None:
    with pytest.raises(Forbidden):
        plan(job, user)


def test_at_most_a_hundred_of_a_job(job: Job, admin: User) -> None:
    for number in range(single_run.MOST_OF_JOB):
        plan(job, admin, LATER + number * MINUTE)
    with pytest.raises(Invalid):
        plan(job, admin)


def test_a_cancelled_one_does_not_run(job: Job, admin: User, user: User) -> None:
    run = plan(job, admin)
    with pytest.raises(Forbidden):
        single_run.cancel(job, run.pk, by=user)
    single_run.cancel(job, run.pk, by=admin)
    assert start_at(LATER) == 0
    assert list(single_run.waiting(job)) == []
    for wrong in ("", "x", 10**30, run.pk + 1):
        with pytest.raises(NotFound):
            single_run.cancel(job, wrong, by=admin)


def test_one_that_has_started_cannot_be_cancelled(job: Job, admin: User) -> None:
    run = plan(job, admin)
    start_at(LATER)
    with pytest.raises(Conflict):
        single_run.cancel(job, run.pk, by=admin)


def opened(effect: str, **fields: Any) -> None:
    with time_machine.travel(NOON, tick=False):
        body = {"name": "Freeze", "effect": effect, "is_for_all": True, "ends_at": LATER + HOUR, **fields}
        windows.create(body, by=None)


def test_a_window_skips_it_and_the_record_says_so(job: Job, admin: User) -> None:
    plan(job, admin)
    opened("skip")
    assert start_at(LATER) == 1
    assert runs(job) == [("skipped", "skipped: window Freeze")]
    assert start_at(LATER + 2 * HOUR) == 0


def test_a_window_holds_it_until_its_end(job: Job, admin: User) -> None:
    plan(job, admin)
    opened("hold")
    assert start_at(LATER) == 0
    assert start_at(LATER + HOUR - MINUTE) == 0
    assert start_at(LATER + HOUR + 6 * MINUTE) == 1
    assert runs(job) == [("running", "")]


def test_an_open_ended_pause_holds_it_until_it_is_over(job: Job, admin: User) -> None:
    plan(job, admin)
    opened("hold", is_for_all=False, jobs=[str(job.pk)], ends_at=None)
    assert [start_at(LATER + number * MINUTE) for number in range(3)] == [0, 0, 0]
    with time_machine.travel(LATER + 5 * MINUTE, tick=False):
        windows.end(windows.Window.objects.get(), by=admin)
    assert start_at(LATER + 11 * MINUTE) == 1
    assert BatchRun.objects.get().due_at == LATER


@pytest.mark.parametrize(
    ("policy", "late", "status"),
    [("skip", 59, "running"), ("skip", 61, "missed"), ("run_once", 3600, "running"), ("run_all", 3600, "running")],
)
def test_a_late_one_obeys_the_misfire_policy(job: Job, admin: User, policy: str, late: int, status: str) -> None:
    Job.objects.update(misfire_policy=policy, misfire_grace_seconds=60)
    plan(job, admin)
    start_at(LATER + dt.timedelta(seconds=late))
    assert [found for found, _ in runs(job)] == [status]


def test_one_that_cannot_start_is_recorded_as_failed_and_notified(job: Job, make_user: Callable[..., User]) -> None:
    boss = make_user("boss", "admin")
    plan(job, boss)
    User.objects.filter(pk=boss.pk).update(is_active=False)
    assert start_at(LATER) == 1
    assert start_at(LATER) == 0
    execution = Execution.objects.get()
    assert (execution.status, execution.error_message) == (
        "failed",
        "not started: The account that asked for the run is gone or disabled.",
    )
    assert list(PendingOutcome.objects.values_list("execution_id", flat=True)) == [execution.pk]
    job.refresh_from_db()
    assert job.last_status == Status.FAILED


def test_one_of_a_deleted_job_is_gone(job: Job, admin: User) -> None:
    from jobs.services import delete_job

    run = plan(job, admin)
    delete_job(job.pk, by=admin)
    run.refresh_from_db()
    assert "deleted" in run.problem
    assert start_at(LATER) == 0
    assert not Execution.objects.exists()


def test_the_leader_looks_again_when_the_next_is_due(job: Job, admin: User) -> None:
    plan(job, admin)
    for ahead, seconds in ((600, 1.0), (0.4, 0.4), (-5, 1.0)):
        with time_machine.travel(LATER - dt.timedelta(seconds=ahead), tick=False):
            assert start.seconds_to_next() == pytest.approx(seconds)


def test_old_batches_are_deleted_but_not_what_is_still_to_start(job: Job, admin: User, settings: Any) -> None:
    settings.EXECUTIONS_KEPT_DAYS = 30
    plan(job, admin)
    plan(job, admin, NOON + 100 * 24 * HOUR)
    start_at(LATER)
    with time_machine.travel(NOON + 40 * 24 * HOUR):
        retention.prune()
    assert [run.due_at for run in BatchRun.objects.all()] == [NOON + 100 * 24 * HOUR]


@pytest.mark.parametrize("broken", [{"time_zone": "Mars/Base"}, {"target_kind": "gone", "target_url": ""}])
def test_a_job_that_cannot_be_read_takes_no_other_down(
    job: Job, admin: User, make_job: Callable[..., Job], broken: dict[str, str]
) -> None:
    with time_machine.travel(NOON, tick=False):
        good = make_job(name="good", end_date="2027-12-31")
    run = plan(job, admin)
    plan(good, admin)
    Job.objects.filter(pk=job.pk).update(**broken)
    assert start_at(LATER) == 2
    assert start_at(LATER + MINUTE) == 0
    assert runs(good) == [("running", "")]
    ((status, reason),) = runs(job)
    assert (status, reason.startswith("not started: what is stored cannot be read")) == ("failed", True)
    run.refresh_from_db()
    assert run.execution_id == Execution.objects.get(job=job).pk


def test_a_window_that_is_ended_early_releases_it(job: Job, admin: User) -> None:
    plan(job, admin)
    opened("hold", ends_at=LATER + 72 * HOUR)
    assert start_at(LATER) == 0
    with time_machine.travel(LATER + MINUTE, tick=False):
        windows.end(windows.Window.objects.get(), by=admin)
    assert start_at(LATER + 7 * MINUTE) == 1
    assert BatchRun.objects.get().due_at == LATER


@pytest.mark.parametrize(("begins", "ends", "status"), [(-60, 10, "skipped"), (10, 60, "running")])
def test_a_late_one_is_judged_by_the_windows_of_its_own_time(
    job: Job, admin: User, begins: int, ends: int, status: str
) -> None:
    plan(job, admin)
    opened("skip", starts_at=LATER + begins * MINUTE, ends_at=LATER + ends * MINUTE)
    start_at(LATER + 20 * MINUTE)
    assert [found for found, _ in runs(job)] == [status]


def test_what_is_recorded_keeps_its_overrides(job: Job, admin: User) -> None:
    other = {"metadata": {"suite": "smoke"}, "target_url": "https://other.example.com/x"}
    plan(job, admin, **other)
    opened("skip")
    start_at(LATER)
    skipped = Execution.objects.get()
    assert (skipped.target, skipped.overrides) == (
        other["target_url"], {"metadata": {"suite": "smoke"}, "target": other["target_url"]})  # fmt: skip
    with time_machine.travel(LATER + 3 * HOUR, tick=False):
        again = services.run_again(skipped, by=admin)
    assert (again.target, again.overrides) == (skipped.target, skipped.overrides)


@pytest.mark.parametrize("verb", ["cancelled_at", "paused_at"])
def test_one_that_is_stopped_while_others_start_does_not_start(
    job: Job, admin: User, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    run = plan(job, admin)
    begin = start._begin

    def meanwhile(one: BatchRun) -> Execution:
        Batch.objects.filter(pk=one.batch_id).update(**{verb: LATER})
        return begin(one)

    monkeypatch.setattr(start, "_begin", meanwhile)
    start_at(LATER)
    assert runs(job) == []
    run.refresh_from_db()
    assert run.execution_id is None


def test_the_owner_of_the_job_cancels_what_others_planned(
    make_job: Callable[..., Job], admin: User, user: User
) -> None:
    with time_machine.travel(NOON, tick=False):
        job = make_job(by=user, cron_expression="0 0 1 1 *", end_date="2027-12-31")
    run = plan(job, admin)
    single_run.cancel(job, run.pk, by=user)
    assert start_at(LATER) == 0


def test_it_cannot_be_paused(job: Job, admin: User) -> None:
    run = plan(job, admin)
    with pytest.raises(Conflict):
        progress.pause(run.batch, by=admin)


def test_windows_hide_what_does_not_run_from_the_coming_ones(job: Job, admin: User) -> None:
    plan(job, admin)
    with time_machine.travel(NOON, tick=False):
        assert [one.at for one in single_run.coming(Job.objects.all(), NOON, LATER + MINUTE)] == [LATER]
        opened("skip")
        assert single_run.coming(Job.objects.all(), NOON, LATER + MINUTE) == []
