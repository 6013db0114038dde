"""Executions that wait for too long for their first call end by the job's misfire policy."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from executions.celery_backend import tasks
from executions.delivery import engine
from executions.models import Execution, Status
from executions.recovery import RESCUE_AFTER, end_missed, recover, rescue
from jobs.models import Job
from notifications.models import Event
from scheduler.firing import fire, start_queued
from scheduler.leadership import Leader
from tests.support.executions import ended, left
from tests.support.firing import MINUTE, NOON, fire_at, made_at_noon, statuses
from tests.support.target import Target

pytestmark = pytest.mark.django_db(transaction=True)
MakeJob = Callable[..., Job]


@pytest.fixture
def leader(db: None) -> Leader:
    found = Leader()
    found.take_over()
    return found


def waiting(job: Job, minutes: int, worker: uuid.UUID | None = None) -> list[Execution]:
    """An execution for each of the last minutes, oldest first, without a call yet."""
    now = timezone.now()
    times = [now - dt.timedelta(minutes=ago) for ago in range(minutes, 0, -1)]
    return [left(job, worker, scheduled_for=at, started_at=at, target=str(job.target)) for at in times]


class TestUnclaimed:
    @pytest.mark.parametrize(
        ("policy", "called"), [("run_once", {Status.MISSED: 299, Status.RUNNING: 1}), ("skip", {Status.MISSED: 300})]
    )
    def test_an_outage_of_all_workers_leaves_one_call_or_none(
        self, sent: dict[uuid.UUID, str], make_job: MakeJob, leader: Leader, policy: str, called: dict[str, int]
    ) -> None:
        """Five hours of an every-minute job; the leader looks each minute."""
        job = made_at_noon(make_job, misfire_policy=policy)
        for minute in range(1, 301):
            fire_at(leader, NOON + minute * MINUTE)
            if minute % 10 == 0:
                with time_machine.travel(NOON + minute * MINUTE + dt.timedelta(seconds=1), tick=False):
                    end_missed()
                # Two of run_once: the latest, and one that is within its grace; of skip one.
                assert Execution.objects.unclaimed().count() <= 2
        with time_machine.travel(NOON + 302 * MINUTE, tick=False):
            end_missed()
            assert statuses(job) == called

    def test_every_fire_time_is_called_where_the_policy_asks_for_it(
        self, sent: dict[uuid.UUID, str], make_job: MakeJob
    ) -> None:
        waiting(make_job(misfire_policy="run_all"), 20)
        assert end_missed() == 0

    def test_a_worker_that_comes_back_does_not_call_what_is_missed(
        self, sent: dict[uuid.UUID, str], make_job: MakeJob, target: Target
    ) -> None:
        executions = waiting(make_job(target_url=target.url + "/ok"), 5)
        tasks.carry_out(1, [one.pk.hex for one in executions])
        assert ended(executions[-1]).status == Status.SUCCESS
        assert {ended(one).status for one in executions[:-1]} == {Status.MISSED}
        assert len(target.arrivals) == 1

    def test_what_was_called_before_is_not_missed(self, sent: dict[uuid.UUID, str], make_job: MakeJob) -> None:
        waiting(make_job(misfire_policy="skip"), 1)
        Execution.objects.update(
            attempts=[{"started_at": "2026-11-24T00:00:00.000Z", "next_in_seconds": 3600}],
            started_at=timezone.now() - dt.timedelta(hours=1),
        )
        assert end_missed() == 0

    def test_its_people_hear_of_it_as_of_other_missed_fire_times(
        self, sent: dict[uuid.UUID, str], make_job: MakeJob
    ) -> None:
        job = make_job(misfire_policy="skip")
        waiting(job, 3)
        Execution.objects.update(started_at=timezone.now() - dt.timedelta(hours=1))
        assert end_missed() == 3
        missed = Execution.objects.first()
        assert missed is not None
        assert missed.error_message == "missed: its call had not begun within 60 s (misfire policy: skip)"
        assert missed.duration_seconds is None
        assert not Event.objects.filter(title__in=["Job Completed", "Job Failed"]).exists()


class TestEngine:
    def test_a_stale_call_is_not_made_when_a_slot_is_free(
        self, make_job: MakeJob, target: Target, settings: Any, leader: Leader
    ) -> None:
        settings.ENGINE_CONCURRENCY_PER_HOST = 1
        url = target.url + "/sleep?s=20"
        make_job(target_url=url, cron_expression="* * * * *", misfire_policy="skip", misfire_grace_seconds=1)
        now = timezone.now()
        for ago in (2, 1):
            Job.objects.update(next_run_at=now - dt.timedelta(seconds=ago / 100))
            fire(leader)
        target.wait_for(1)
        second = Execution.objects.newest_first()[0]
        with time_machine.travel(timezone.now() + dt.timedelta(seconds=30)):
            target.released.set()
            assert ended(second).status == Status.MISSED
        assert len(target.arrivals) == 1

    def test_of_a_stopped_machine_the_latest_fire_time_is_called(self, make_job: MakeJob, target: Target) -> None:
        executions = waiting(make_job(target_url=target.url + "/ok"), 4, worker=uuid.uuid4())
        recover()
        assert [ended(one).status for one in executions] == [Status.MISSED] * 3 + [Status.SUCCESS]

    def test_the_turn_of_a_queued_execution_does_not_count(
        self, make_job: MakeJob, target: Target, leader: Leader
    ) -> None:
        job = make_job(target_url=target.url + "/ok", overlap_policy="queue_one", misfire_policy="skip")
        an_hour_ago = timezone.now() - dt.timedelta(hours=1)
        queued = left(
            job,
            status=Status.QUEUED,
            scheduled_for=an_hour_ago,
            started_at=an_hour_ago,
            target=str(job.target),
        )
        Job.objects.update(last_status=Status.FAILED, last_execution_at=an_hour_ago)
        start_queued(leader, {})
        done = ended(queued)
        job.refresh_from_db()
        assert (done.status, job.last_status) == (Status.SUCCESS, Status.SUCCESS)
        assert job.last_execution_at == done.started_at


class TestRescue:
    def test_an_execution_that_a_living_worker_forgot_ends(self, make_job: MakeJob) -> None:
        job = make_job(retry_deadline_seconds=3600)
        long_ago = timezone.now() - RESCUE_AFTER
        stuck = left(job, engine.worker_id(), started_at=long_ago - dt.timedelta(hours=1, seconds=1))
        trying = left(job, engine.worker_id(), started_at=long_ago - dt.timedelta(minutes=59))
        assert rescue() == 1
        stuck.refresh_from_db()
        trying.refresh_from_db()
        assert (stuck.status, trying.status) == (Status.FAILED, Status.RUNNING)
        assert "no outcome within 24 hours" in stuck.error_message
