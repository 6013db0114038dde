"""A job's policies reach the engine; a job that cannot be fired stops no other."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.db.models import JSONField, Value

from accounts.models import User
from executions.models import Execution, Status
from jobs.models import Job
from jobs.services import update_job
from notifications.models import Event
from scheduler.leadership import Leader
from scheduler.reconcile import repair
from tests.support.firing import MINUTE, NOON, MakeJob, fire_at, made_at_noon, statuses

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("handed")]


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
    assert [limit.size for limit in delivery.limits] == [500, 3]


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


def test_a_job_that_was_put_aside_stays_so_until_it_is_edited(
    make_job: MakeJob, leader: Leader, admin: User, handed: list[Any]
) -> None:
    """Its schedule is fine, so a repair would let it fire, and be put aside, and told of, every minute."""
    job = made_at_noon(make_job, max_attempts=3)
    Job.objects.filter(pk=job.pk).update(retry_on=Value(5, JSONField()))
    fire_at(leader, NOON + MINUTE)
    for minute in range(2, 5):
        with time_machine.travel(NOON + minute * MINUTE, tick=False):
            assert repair() == 0
        fire_at(leader, NOON + minute * MINUTE)
    assert Event.objects.filter(title="Job cannot be scheduled").count() == 1
    with time_machine.travel(NOON + 5 * MINUTE, tick=False):
        update_job(job.pk, {"retry_on": ["5xx"]}, by=admin)
    job.refresh_from_db()
    assert (job.problem, job.next_run_at) == ("", NOON + 6 * MINUTE)
