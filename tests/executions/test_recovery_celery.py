"""Executions of dead Celery workers."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.utils import timezone

from executions import recovery
from executions.delivery.carry_out import MOST_TAKEOVERS
from executions.models import Execution, Status, Worker
from jobs.models import Job
from tests.support.executions import left

pytestmark = pytest.mark.django_db


def test_what_a_dead_worker_held_is_released_or_ended(sent: dict[uuid.UUID, str], make_job: Callable[..., Job]) -> None:
    gone, alive = uuid.uuid4(), Worker.objects.create(host="elsewhere", pid=1)
    job = make_job()
    workflow = {"execution_type": "github_actions", "target": "acme/shop/x.yml"}
    hook, begun = left(job, gone), left(job, gone, call_began_at=timezone.now(), **workflow)
    dispatch = left(job, gone, **workflow)
    worn, held = left(job, gone, takeovers=MOST_TAKEOVERS), left(job, alive.pk)
    new = left(job)
    assert recovery.recover() == 4
    assert sent == {hook.pk: "webhook", dispatch.pk: "github_actions"}
    hook.refresh_from_db()
    assert (hook.status, hook.worker_id, hook.takeovers) == (Status.RUNNING, None, 1)
    assert {Execution.objects.get(pk=one.pk).status for one in (begun, worn)} == {Status.FAILED}
    assert {Execution.objects.get(pk=one.pk).takeovers for one in (held, new)} == {0}
