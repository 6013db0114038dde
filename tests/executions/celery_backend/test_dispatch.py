"""What the scheduler and Celery workers agree on: who claims what, what is sent again."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import User
from executions.celery_backend import dispatch
from executions.delivery import engine
from executions.models import Execution, Status
from executions.services import trigger_now
from jobs.models import Job
from tests.support.executions import left

pytestmark = pytest.mark.django_db


def test_a_run_is_sent_and_belongs_to_nobody_yet(
    sent: dict[uuid.UUID, str], make_job: Callable[..., Job], admin: User, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        execution = trigger_now(make_job().pk, {}, by=admin)
    assert sent == {execution.pk: "webhook"}
    assert Execution.objects.get().worker_id is None


def test_a_run_with_its_own_token_stays_with_the_process_that_has_it(
    sent: dict[uuid.UUID, str], make_job: Callable[..., Job], admin: User, handed: list[Any]
) -> None:
    job = make_job(github_owner="acme", github_repo="shop", github_workflow_name="x.yml")
    execution = trigger_now(job.pk, {"github_token": "ghp_secret"}, by=admin)
    assert execution.worker_id == engine.worker_id()
    assert sent == {}
    assert "ghp_secret" not in str(Execution.objects.values().get())


def test_a_message_that_comes_twice_claims_once(make_job: Callable[..., Job]) -> None:
    mine, other = uuid.uuid4(), uuid.uuid4()
    job = make_job()
    free, taken, over, followed = (
        left(job), left(job, other), left(job, status=Status.SUCCESS), left(job, run_id=5)
    )  # fmt: skip
    ids = [free.pk, taken.pk, over.pk, followed.pk, uuid.uuid4()]
    assert dispatch.claim(ids, mine) == [free.pk]
    assert dispatch.claim(ids, mine) == []
    assert dispatch.claim(ids, other) == []
    assert Execution.objects.get(pk=free.pk).worker_id == mine


def test_what_nobody_claims_is_sent_again_ever_less_often(
    sent: dict[uuid.UUID, str], make_job: Callable[..., Job], monkeypatch: Any
) -> None:
    execution = left(make_job())
    unclaimed, now, clock = dispatch.Unclaimed(), timezone.now(), [1000.0]
    monkeypatch.setattr(dispatch.time, "monotonic", lambda: clock[0])
    sent_at = []
    for second in range(40):
        clock[0] += 1
        with time_machine.travel(now + dt.timedelta(seconds=second), tick=False):
            if unclaimed.resend():
                sent_at.append(second)
    assert sent_at == [2, 4, 8, 16, 32]
    Execution.objects.filter(pk=execution.pk).update(worker_id=uuid.uuid4())
    assert unclaimed.resend() == 0


def test_workers_that_are_busy_are_given_time(
    sent: dict[uuid.UUID, str], make_job: Callable[..., Job], monkeypatch: Any
) -> None:
    left(make_job())
    now = timezone.now()
    monkeypatch.setattr(dispatch, "waiting_messages", lambda: 12)
    for seconds, count in [(20, 0), (31, 1)]:
        with time_machine.travel(now + dt.timedelta(seconds=seconds), tick=False):
            assert dispatch.Unclaimed().resend() == count
    monkeypatch.setattr(dispatch, "waiting_messages", lambda: None)
    with time_machine.travel(now + dt.timedelta(hours=1), tick=False):
        assert dispatch.Unclaimed().resend() == 0
