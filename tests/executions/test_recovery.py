"""Executions of workers that are gone are carried out by another, or ended with a plain reason."""

from __future__ import annotations

import datetime as dt
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from core.runtime import heartbeat
from demo.github_stand_in import GitHub
from executions import recovery
from executions.delivery import carry_out, engine
from executions.delivery.carry_out import MOST_TAKEOVERS
from executions.models import Execution, Status, TriggerType, Worker
from executions.recording import recorder, worker
from executions.recording.worker import STALE_SECONDS, pid_namespace
from executions.recovery import delete_dead_workers, recover
from jobs.content import Content
from jobs.models import Job
from tests.support.clock import HandClock
from tests.support.executions import ended
from tests.support.target import Target, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def left_running(job: Job, **fields: Any) -> Execution:
    """An execution of a worker that is gone."""
    target = str(job.target)
    kind = "webhook" if job.target_url else "github_actions"
    fields = {
        "worker_id": uuid.uuid4(),
        "trigger_type": TriggerType.SCHEDULED,
        "execution_type": kind,
        "target": target,
        **fields,
    }
    return Execution.objects.create(**{"job": job, "scheduled_for": timezone.now(), **fields})


def test_a_webhook_is_called_by_another_worker_with_the_same_key(make_job: Callable[..., Job], target: Target) -> None:
    execution = left_running(make_job(target_url=target.url + "/ok", metadata={"a": 1}))
    assert recover() == 1
    done = ended(execution)
    assert (done.status, done.takeovers, done.worker_id) == (Status.SUCCESS, 1, engine.worker_id())
    assert target.arrivals[0].headers["Idempotency-Key"] == str(execution.pk)
    assert target.arrivals[0].json == {"a": 1}
    assert recover() == 0


def test_overrides_of_a_manual_run_are_kept(make_job: Callable[..., Job], target: Target) -> None:
    job = make_job(target_url=target.url + "/ok")
    execution = left_running(
        job,
        target=target.url + "/other",
        overrides={"target": target.url + "/other", "metadata": {"b": 2}},
        trigger_type="manual",
    )
    recover()
    ended(execution)
    assert (target.arrivals[0].path, target.arrivals[0].json) == ("/other", {"b": 2})


@pytest.mark.parametrize(
    ("changes", "fields", "said"),
    [
        (
            {"target_url": "acme/shop/ci.yml"},
            {"call_began_at": timezone.now()},
            "it is not repeated, as the workflow may have started",
        ),
        (
            {"target_url": "acme/shop/ci.yml"},
            {"worker_id": None, "overrides": {"github_token": True}},
            "GitHub token ended",
        ),
        ({}, {"takeovers": MOST_TAKEOVERS}, "given up: 3 processes ended"),
    ],
)
def test_what_is_not_repeated_is_ended_with_the_reason(
    make_job: Callable[..., Job], target: Target, changes: dict[str, Any], fields: dict[str, Any], said: str
) -> None:
    execution = left_running(make_job(**changes), **fields)
    recover()
    done = Execution.objects.get(pk=execution.pk)
    assert done.status == Status.FAILED
    assert said in done.error_message
    assert target.arrivals == []


def test_a_dispatch_whose_call_had_not_begun_is_made_by_another_worker(
    make_job: Callable[..., Job], settings: Any
) -> None:
    with GitHub() as github:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = github.url, "the environment's"
        job = make_job(target_url="acme/shop/success-0.yml", wait_for_run=False)
        executions = [left_running(job), left_running(job, call_began_at=timezone.now())]
        assert recover() == 2
        assert ended(executions[0]).status == Status.SUCCESS
        assert ended(executions[1]).status == Status.FAILED
        assert [method for method, *_ in github.calls] == ["POST"]


def test_a_dispatch_is_marked_before_its_call_and_not_between_calls(
    make_job: Callable[..., Job], settings: Any
) -> None:
    with GitHub() as github:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = github.url, "the environment's"
        job = make_job(target_url="acme/shop/success-0.yml", wait_for_run=False, max_attempts=2, retry_on=["429"])
        github.fail_next = [(429, {"Retry-After": "600"})]
        execution = left_running(job)
        marks: list[Any] = []
        answer = github.answer

        def look(*arguments: Any) -> Any:
            marks.append(Execution.objects.get(pk=execution.pk).call_began_at)
            connection.close()
            return answer(*arguments)

        github.answer = look  # type: ignore[method-assign]
        recover()
        wait_until(lambda: Execution.objects.get(pk=execution.pk).attempts)
        assert marks[0] is not None
        assert Execution.objects.get(pk=execution.pk).call_began_at is None


def test_executions_of_living_workers_are_left_alone(
    make_job: Callable[..., Job], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock()
    monkeypatch.setattr(recovery, "heartbeats", recovery.Heartbeats(clock.monotonic))
    other = Worker.objects.create(host="another host", pid=1)
    execution = left_running(make_job(target_url=target.url + "/ok"), worker_id=other.pk)
    assert recover() == 0
    # The other host's clock may be wrong by hours: what counts is that the heartbeat goes on.
    Worker.objects.filter(pk=other.pk).update(heartbeat_at=timezone.now() - dt.timedelta(hours=5))
    assert recover() == 0
    for _ in range(int(STALE_SECONDS) - 1):
        clock.advance(1)
        assert recover() == 0
    clock.advance(1)
    assert recover() == 1
    ended(execution)


def test_who_was_frozen_itself_judges_nobody() -> None:
    other = Worker.objects.create(host="another host", pid=1)
    clock = HandClock()
    heartbeats = recovery.Heartbeats(clock.monotonic)
    for seconds, stopped in ((0, set()), (3, set()), (18, set()), (3, set()), (6, set()), (6, {other.pk})):
        clock.advance(seconds)
        assert heartbeats.stopped([other]) == stopped


def test_a_dead_process_of_this_host_is_noticed_at_once() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    Worker.objects.create(host=socket.gethostname(), pid=gone.pid, namespace=pid_namespace())
    mine = Worker.objects.create(host=socket.gethostname(), pid=os.getpid())
    assert delete_dead_workers() == 1
    assert Worker.objects.get() == mine


def test_a_row_of_our_own_that_the_engine_does_not_know_is_carried_out(
    make_job: Callable[..., Job], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may store a transaction and lose the connection before it says so."""
    job = make_job(target_url=target.url + "/ok")
    monkeypatch.setattr(recorder, "SWEEP_SECONDS", 0.05)
    old = timezone.now() - dt.timedelta(seconds=11)
    execution, claiming = (left_running(job, worker_id=engine.worker_id(), started_at=old) for _ in range(2))
    with engine.local_engine().claiming([claiming.pk]):
        wait_until(lambda: Execution.objects.get(pk=execution.pk).worker_id is None, 12)
        assert Execution.objects.get(pk=claiming.pk).worker_id == engine.worker_id()
    assert recover() == 1
    ended(execution)


def test_a_worker_that_was_stopped_leaves_what_it_did_not_begin_to_others(
    make_job: Callable[..., Job], target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    from executions.backends import submit
    from executions.delivery.carry_out import delivery_of, read_teams

    job = make_job(target_url=target.url + "/ok")
    before = engine.worker_id()
    execution = left_running(job, worker_id=before)
    delivery = delivery_of(
        job, execution.pk, timezone.now(), job.target, Content({}), teams=read_teams(), worker_id=engine.worker_id()
    )
    monkeypatch.setattr(worker, "STALE_SECONDS", -1.0)
    submit([delivery])
    wait_until(lambda: not engine.local_engine().known())
    assert target.arrivals == []
    wait_until(lambda: engine.worker_id() != before, 12)
    monkeypatch.undo()
    assert not Worker.objects.filter(pk=before).exists()
    assert recover() == 1
    ended(execution)


def test_a_process_of_another_container_with_the_same_host_name_is_not_judged_by_its_pid() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    elsewhere = Worker.objects.create(host=socket.gethostname(), pid=gone.pid, namespace="the same boot 4026532999")
    assert delete_dead_workers() == 0
    assert Worker.objects.get() == elsewhere


def test_a_loop_that_hangs_shows_no_heartbeat(tmp_path: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CRONSCHED_DATA_DIR = tmp_path
    monkeypatch.setattr(heartbeat, "_beats", {})
    monkeypatch.setattr(engine, "_HUNG_SECONDS", -1.0)
    engine.local_engine()
    wait_until(lambda: engine.local_engine().worker_id in set(Worker.objects.values_list("pk", flat=True)))
    assert heartbeat.age("worker") is None
    monkeypatch.setattr(engine, "_HUNG_SECONDS", 10.0)
    wait_until(lambda: heartbeat.age("worker") is not None)


def test_a_delivery_that_was_taken_over_by_its_own_process_is_not_dropped_by_the_old_one(
    make_job: Callable[..., Job], target: Target
) -> None:
    """After a late heartbeat this process goes on as a new worker, and recovers its own executions."""
    job = make_job(target_url=target.url + "/sleep?s=20")
    execution = left_running(job, worker_id=engine.worker_id())
    carry_out.carry_out([execution], {})
    target.wait_for(1)
    row = engine.local_engine()._recorder.worker
    row._beat_at = 0.0
    wait_until(lambda: Worker.objects.exclude(pk=execution.worker_id).exists())
    Worker.objects.filter(pk=execution.worker_id).delete()
    assert recover() == 1
    target.wait_for(2)
    target.released.set()
    done = ended(execution)
    assert (done.status, done.worker_id, done.takeovers) == (Status.SUCCESS, engine.worker_id(), 1)
    wait_until(lambda: engine.local_engine().known() == set())


def test_a_dispatch_that_had_begun_fails_and_is_not_called_missed(make_job: Callable[..., Job]) -> None:
    job = make_job(target_url="acme/shop/ci.yml", misfire_policy="skip")
    long_ago = timezone.now() - dt.timedelta(hours=1)
    execution = left_running(job, scheduled_for=long_ago, started_at=long_ago, call_began_at=long_ago)
    recover()
    done = Execution.objects.get(pk=execution.pk)
    assert (done.status, "may have started" in done.error_message) == (Status.FAILED, True)


def test_a_webhook_whose_call_may_have_begun_is_repeated_although_it_is_a_little_late(
    make_job: Callable[..., Job], target: Target
) -> None:
    job = make_job(target_url=target.url + "/ok", misfire_policy="skip", misfire_grace_seconds=10)
    began = timezone.now() - dt.timedelta(seconds=30)
    execution = left_running(job, scheduled_for=began, started_at=began)
    recover()
    assert ended(execution).status == Status.SUCCESS
