"""Counts by hour: the same as counting the executions, whoever ends them; and what retention leaves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Sum
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from accounts.models import User
from core.api.timestamps import DateRange
from executions.models import Execution, FireLagBucket, Rollup, Status, Total
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.statistics import rollups
from executions.targets import Outcome
from jobs.models import Job
from jobs.services import remove_jobs
from scheduler.firing import fire
from scheduler.leadership import Leader
from tests.support.rollups import ALL, BASE, minutes, ran, rebuild

pytestmark = pytest.mark.django_db


def by_hand(span: DateRange, job: Job | None) -> tuple[Any, ...]:
    rows = Execution.objects.filter(**span.lookup("started_at")).exclude(status__in=["skipped", "missed"])
    rows = list(rows.filter(job=job) if job else rows)
    ended = [row for row in rows if row.status not in {"running", "queued"}]
    well = [row for row in rows if row.status == "success"]
    mean = lambda some: sum(row.duration_seconds or 0 for row in some) / len(some) if some else None  # noqa: E731
    return (
        len(rows),
        len(well),
        sum(row.status == "failed" for row in rows),
        len(rows) - len(ended),
        mean(ended),
        mean(well),
    )


@hypothesis_settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.integers(0, 1), minutes, st.sampled_from(list(Status)), st.floats(0, 50)), max_size=15),
    st.tuples(st.none() | minutes, st.none() | minutes),
)
def test_any_period_counts_as_its_executions_do(
    make_job: Callable[..., Job], runs: list[tuple[int, int, Status, float]], period: tuple[int | None, int | None]
) -> None:
    for model in (Job, Rollup, Total):
        model._default_manager.all().delete()
    jobs = [make_job(name="one"), make_job(name="two")]
    for number, minute, status, seconds in runs:
        ran(jobs[number], minute, status, seconds)
    rebuild()
    start, end = (None if one is None else BASE + dt.timedelta(minutes=one) for one in period)
    if start and end and start >= end:
        start, end = end, start + dt.timedelta(minutes=1)
    span = DateRange(start, end)
    for job in (None, *jobs):
        found = rollups.counts(span, job.pk if job else None)
        assert found[:4] == by_hand(span, job)[:4]
        assert found[4:] == pytest.approx(by_hand(span, job)[4:])


def tallies() -> list[Any]:
    numbers = ("success", "failed", "skipped", "missed", "seconds")
    per_job = Rollup.objects.order_by("job", "hour", "kind").values_list("job", "hour", "kind", "longest", *numbers)
    sums = {f"sum_{name}": Sum(name) for name in numbers}
    return [list(per_job), list(Total.objects.order_by("hour", "kind").values_list("hour", "kind").annotate(**sums))]


def test_the_recorder_and_firing_keep_them_right(make_job: Callable[..., Job], handed: list[Any]) -> None:
    now = timezone.now()
    late = make_job(name="late", cron_expression="* * * * *", misfire_policy="skip", misfire_grace_seconds=1)
    Job.objects.filter(pk=late.pk).update(next_run_at=now - dt.timedelta(minutes=20))
    leader = Leader()
    leader.take_over()
    fire(leader)
    outcomes = []
    for number in range(6):
        execution = ran(make_job(name=f"job {number}"), 0, Status.RUNNING, None)
        execution.started_at = now - dt.timedelta(minutes=number * 20, seconds=2)
        execution.save()
        outcomes.append(Finished.of(execution, Outcome(number % 3 > 0, 200 if number % 3 else 500), None))
    store(outcomes[:4])
    store(outcomes[2:])
    before = tallies()
    assert (
        Execution.objects.filter(status=Status.MISSED).count()
        == sum(row["missed"] for row in Rollup.objects.values("missed"))
        > 0
    )
    rebuild()
    after = tallies()
    for kept, counted in zip(before, after, strict=True):
        assert [row[:-1] for row in kept] == [row[:-1] for row in counted]
        assert [row[-1] for row in kept] == pytest.approx([row[-1] for row in counted])


def test_lateness_is_of_the_first_call_without_the_jobs_jitter(make_job: Callable[..., Job]) -> None:
    due = BASE + dt.timedelta(minutes=5)
    execution = ran(make_job(), 5, Status.RUNNING, None)
    execution.scheduled_for = due
    first = {"started_at": "2026-03-01T00:05:07.030Z"}
    one = Finished.of(execution, Outcome(True, 200), None)._replace(attempts=[first, first], jitter=7)
    store([one])
    told = FireLagBucket.objects.get()
    assert (told.bound, told.count, round(told.seconds, 3)) == (0.05, 1, 0.03)


def test_a_deleted_job_is_in_no_total(make_job: Callable[..., Job], admin: User) -> None:
    jobs = [make_job(name="one"), make_job(name="two")]
    for job in jobs:
        ran(job, 5, Status.SUCCESS, 2.0)
    rebuild()
    assert rollups.counts(ALL).success == 2
    remove_jobs([jobs[0]], by=admin)
    assert rollups.counts(ALL)[:4] == (1, 1, 0, 0)
    assert rollups.counts(ALL).average == 2.0


def test_an_update_from_a_version_without_them_is_counted(make_job: Callable[..., Job]) -> None:
    assert not rollups.is_lacking()
    ran(make_job(), 5, Status.FAILED)
    assert rollups.is_lacking()
    call_command("rebuildstatistics", "--json")
    assert not rollups.is_lacking()
    assert rollups.counts(ALL).failed == 1


def test_a_rebuild_keeps_the_counts_of_deleted_executions(make_job: Callable[..., Job]) -> None:
    job = make_job()
    for minute in range(5):
        ran(job, minute, Status.SUCCESS, 2.0)
    ran(job, 6, Status.FAILED, 3.0)
    rebuild()
    before = tallies()
    # As retention by count leaves them: one failed execution and one success.
    kept = list(Execution.objects.filter(status=Status.SUCCESS).values_list("pk", flat=True)[:1])
    Execution.objects.filter(status=Status.SUCCESS).exclude(pk__in=kept).delete()
    rebuild()
    assert tallies() == before
    for _ in rollups.rebuild(lower=True):
        continue
    assert rollups.counts(ALL).success == 1


def test_folding_changes_no_sum(make_job: Callable[..., Job], settings: Any) -> None:
    settings.METRICS_PUBLIC = True
    for number in range(6):
        ran(make_job(name=f"job {number}"), number * 20, Status.SUCCESS, 2.0)
    rebuild()
    totals = list(Total.objects.values("hour", "kind", "success", "seconds"))
    for shard in (1, 2, 7):
        for row in totals:
            Total.objects.create(**row, shard=shard)
            FireLagBucket.objects.create(hour=row["hour"], bound=0.05, shard=shard, count=3, seconds=0.1)
    before, shown = tallies(), Client().get("/metrics").content
    assert rollups.fold() > 0
    assert tallies() == before
    assert set(Total.objects.values_list("shard", flat=True)) == {0}
    assert FireLagBucket.objects.count() == 1
    lines = [line for line in shown.splitlines() if line.startswith((b"cronsched_executions", b"cronsched_fire_lag"))]
    after = Client().get("/metrics").content.splitlines()
    assert set(lines) <= set(after)
    assert rollups.fold() == 0
