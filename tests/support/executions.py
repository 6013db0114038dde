"""Executions in tests: waiting for their end, and an engine that makes no calls."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from django.utils import timezone

from executions.delivery.state import Delivery
from executions.models import OPEN, Execution, Status, TriggerType
from executions.recording.outcomes import Finished
from executions.statistics import rollups
from executions.targets import Outcome
from jobs.models import Job
from tests.support.target import wait_until


def ended(execution: Execution, within: float = 10) -> Execution:
    """The execution, once it has ended; fails after `within` seconds."""

    def look() -> Execution | None:
        return Execution.objects.filter(pk=execution.pk).exclude(status__in=OPEN).first()

    found: Execution = wait_until(look, within)
    return found


def left(job: Job, worker: uuid.UUID | None = None, **fields: Any) -> Execution:
    """An execution that runs and belongs to `worker`."""
    values = {
        "status": Status.RUNNING,
        "trigger_type": "scheduled",
        "execution_type": "webhook",
        "target": "http://127.0.0.1:1/",
    }
    return Execution.objects.create(job=job, worker_id=worker, **{**values, **fields})


class IdleEngine:
    """Takes deliveries and keeps them in `deliveries`. `in_burst`: more are about to be submitted."""

    def __init__(self) -> None:
        self.worker_id = uuid.uuid4()
        self.deliveries: list[Delivery] = []
        self.in_burst = False

    def submit(self, deliveries: Sequence[Delivery]) -> None:
        self.deliveries.extend(deliveries)

    @contextmanager
    def burst(self) -> Iterator[None]:
        self.in_burst = True
        yield
        self.in_burst = False

    @contextmanager
    def claiming(self, ids: Iterable[uuid.UUID]) -> Iterator[None]:
        yield


def finished(
    job: Job, *, ok: bool = False, manual: bool = False, error: str = "Webhook returned status 500"
) -> Finished:
    now = timezone.now()
    return Finished(
        uuid4(),
        uuid4(),
        job.pk,
        job.name,
        None if manual else now,
        now,
        now,
        str(job.target),
        Outcome(ok, error="" if ok else error),
        [],
    )


def ran(job: Job, status: str, *, ago: float = 60, took: float = 0.2, lag: float = 0.01, **fields: Any) -> Execution:
    """An execution whose fire time was `ago` seconds ago."""
    due = timezone.now() - dt.timedelta(seconds=ago)
    began = due + dt.timedelta(seconds=lag)
    if status in rollups.ENDED:
        rollups.count([rollups.Ended(job.pk, "webhook", began, Status(status), took)])
    return Execution.objects.create(
        job=job,
        status=status,
        trigger_type=TriggerType.SCHEDULED,
        scheduled_for=due,
        started_at=began,
        completed_at=began + dt.timedelta(seconds=took),
        duration_seconds=took,
        execution_type="webhook",
        target=job.target_url,
        **fields,
    )
