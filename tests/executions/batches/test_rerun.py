"""Batches: executions that are run again together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import User
from core.api.errors import Conflict, Forbidden, Invalid
from executions.batches import progress, rerun, start
from executions.batches.progress import Progress
from executions.models import MOST_AT_ONCE, BatchRun, Execution, Status
from jobs.models import Job
from tests.support.executions import ran
from windows import services as windows
from windows.cover import Cover

pytestmark = pytest.mark.django_db


@pytest.fixture
def failed(make_job: Callable[..., Job]) -> list[Execution]:
    """Three failed executions of two jobs, newest first."""
    first, second = make_job(name="first"), make_job(name="second")
    return [ran(job, Status.FAILED, ago=ago) for job, ago in ((first, 10), (second, 20), (first, 30))]


def test_once_a_job_takes_the_first_of_each(failed: list[Execution], admin: User) -> None:
    assert rerun.choose(Execution.objects.all(), admin) == failed
    assert rerun.choose_once(Execution.objects.all(), admin) == [failed[0], failed[1]]


def test_once_a_job_reaches_behind_the_newest_thousand(
    failed: list[Execution], admin: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerun, "MOST", 1)
    old = ran(failed[0].job, Status.FAILED, ago=5)
    assert rerun.choose_once(Execution.objects.all(), admin) == [old, failed[1]]


def test_only_jobs_that_the_user_may_run(failed: list[Execution], user: User) -> None:
    assert rerun.choose(Execution.objects.all(), user) == rerun.choose_once(Execution.objects.all(), user) == []
    with pytest.raises(Invalid):
        rerun.create([], "none", minutes=0, by=user)


def test_a_batch_runs_and_says_how_far_it_is(failed: list[Execution], admin: User, handed: list[Any]) -> None:
    batch = rerun.create(failed, "again", minutes=0, by=admin)
    assert progress.progress(batch) == Progress(0, 0, 0, 3)
    assert start.start_due() == 3
    assert start.start_due() == 0
    assert progress.progress(batch) == Progress(0, 0, 3, 0)
    started = list(Execution.objects.filter(pk__in=BatchRun.objects.values("execution_id")).order_by("started_at"))
    assert [one.triggered_by for one in started] == [admin] * 3
    Execution.objects.filter(pk=started[0].pk).update(status=Status.SUCCESS)
    Execution.objects.filter(pk=started[1].pk).update(status=Status.FAILED)
    assert progress.progress(batch) == Progress(1, 1, 1, 0)


def test_runs_are_spread_over_minutes(failed: list[Execution], admin: User, handed: list[Any]) -> None:
    batch = rerun.create(failed, "again", minutes=30, by=admin)
    due = list(batch.runs.values_list("due_at", flat=True))
    assert [moment - due[0] for moment in due] == [dt.timedelta(minutes=10 * number) for number in range(3)]
    assert start.start_due() == 1
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=11)):
        assert start.start_due() == 1


def test_no_more_than_fifty_at_once(make_job: Callable[..., Job], admin: User, handed: list[Any]) -> None:
    job = make_job()
    rerun.create([ran(job, Status.FAILED, ago=number + 1) for number in range(60)], "again", minutes=0, by=admin)
    assert start.start_due() == MOST_AT_ONCE
    assert start.start_due() == 0
    Execution.objects.filter(status=Status.RUNNING).update(status=Status.SUCCESS)
    assert start.start_due() == 10


def test_cancelling_starts_none_of_the_rest(
    failed: list[Execution], admin: User, user: User, handed: list[Any]
) -> None:
    batch = rerun.create(failed, "again", minutes=60, by=admin)
    start.start_due()
    with pytest.raises(Forbidden):
        progress.cancel(batch, by=user)
    assert progress.cancel(batch, by=admin) == 2
    batch.refresh_from_db()
    with time_machine.travel(timezone.now() + dt.timedelta(hours=2)):
        assert start.start_due() == 0
    assert progress.progress(batch) == Progress(0, 0, 1, 0)
    with pytest.raises(Conflict):
        progress.cancel(batch, by=admin)


def test_a_job_that_has_ended_takes_no_other_down(failed: list[Execution], admin: User, handed: list[Any]) -> None:
    batch = rerun.create(failed, "again", minutes=0, by=admin)
    Job.objects.filter(name="second").update(end_date="2020-01-01")
    assert start.start_due() == 3
    assert progress.progress(batch) == Progress(0, 1, 2, 0)
    assert "end date" in batch.runs.exclude(problem="").get().problem


def test_a_deleted_account_starts_nothing(failed: list[Execution], make_user: Callable[..., User]) -> None:
    boss = make_user("boss", "admin")
    batch = rerun.create(failed, "again", minutes=0, by=boss)
    boss.delete()
    start.start_due()
    assert progress.progress(batch) == Progress(0, 3, 0, 0)


def test_a_run_again_keeps_its_overrides(make_job: Callable[..., Job], admin: User, handed: list[Any]) -> None:
    job = make_job()
    old = ran(job, Status.FAILED, overrides={"metadata": {"day": "2026-11-24"}})
    rerun.create([old], "again", minutes=0, by=admin)
    start.start_due()
    assert Execution.objects.exclude(pk=old.pk).get().overrides == {"metadata": {"day": "2026-11-24"}}


def test_two_leaders_start_a_run_once(
    failed: list[Execution], admin: User, handed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader that was stopped between reading and starting goes on after another one has started the run."""
    batch = rerun.create(failed[:1], "again", minutes=0, by=admin)
    stale = list(batch.runs.select_related("batch__by"))
    start.start_due()
    assert start._start(stale[0], Cover([])) is start._Went.ON
    assert Execution.objects.filter(triggered_by=admin).count() == 1


def test_at_most_a_thousand(failed: list[Execution], admin: User) -> None:
    with pytest.raises(Invalid):
        rerun.create([failed[0]] * 1001, "again", minutes=0, by=admin)


def test_a_job_that_a_window_holds_keeps_no_other_waiting(
    failed: list[Execution], admin: User, handed: list[Any]
) -> None:
    batch = rerun.create(failed, "again", minutes=0, by=admin)
    first, second = (Job.objects.get(name=name) for name in ("first", "second"))
    windows.create({"name": "Freeze", "effect": "hold", "jobs": [str(first.pk)]}, by=None)
    assert start.start_due() == 1
    assert Execution.objects.filter(triggered_by=admin).get().job == second
    assert progress.progress(batch).left == 2
    windows.end(windows.Window.objects.get(), by=admin)
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=11)):
        assert start.start_due() == 2
