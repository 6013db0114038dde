"""What the engine tells the recorder: that an execution ended, goes on, or that a call begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from core.db.among import among
from executions.exchanges import Exchanged
from executions.models import Execution, Status
from executions.targets.base import Outcome, Run


class Finished(NamedTuple):
    """An execution that has ended, before and after it is stored.

    `unrun` is MISSED or CANCELLED for an execution that ends without an outcome of its call; `outcome.error` says why.
    `scheduled_for` is None for a manual run. `jitter` is the job's own delay after the fire time, in seconds. `team`:
    for the log; '' if it is not known.
    """

    execution_id: UUID
    worker_id: UUID | None
    job_id: UUID
    job_name: str
    scheduled_for: datetime | None
    started_at: datetime
    completed_at: datetime
    target: str
    outcome: Outcome
    attempts: list[dict[str, Any]]
    jitter: float = 0
    unrun: Status | None = None
    kind: str = "webhook"
    exchanged: Exchanged | None = None
    team: str = ""

    @classmethod
    def of(
        cls, execution: Execution, outcome: Outcome, worker_id: UUID | None, unrun: Status | None = None
    ) -> Finished:
        """A stored execution that ends now with this outcome."""
        return cls(
            execution_id=execution.pk,
            worker_id=worker_id,
            job_id=execution.job_id,
            job_name=execution.job.name,
            scheduled_for=execution.scheduled_for,
            started_at=execution.started_at,
            completed_at=timezone.now(),
            target=execution.target,
            outcome=outcome,
            attempts=execution.attempts,
            jitter=0 if execution.scheduled_for is None else execution.job.jitter,
            unrun=unrun,
            kind=execution.execution_type,
        )

    @classmethod
    def missed(cls, execution: Execution, reason: str, worker_id: UUID | None) -> Finished:
        """A stored execution that has missed its start deadline."""
        return cls.of(execution, Outcome(False, error=reason), worker_id, Status.MISSED)

    @property
    def is_manual(self) -> bool:
        return self.scheduled_for is None

    @property
    def status(self) -> Status:
        return self.unrun or (Status.SUCCESS if self.outcome.ok else Status.FAILED)

    @property
    def duration_seconds(self) -> float | None:
        """Seconds from the start to the end; None for a missed execution, which did not run."""
        if self.unrun == Status.MISSED:
            return None
        return round((self.completed_at - self.started_at).total_seconds(), 3)


def stored(ids: Sequence[UUID]) -> list[Finished]:
    """The outcomes of these executions as they are stored, in this order, without attempts and answers. Those of
    deleted jobs are left out. Plain columns, because thousands may arrive at once.
    """
    rows = Execution.objects.filter(among(ids), job__deleted_at=None).order_by().values_list(*_STORED)
    found = {row[0]: _of_row(*row) for row in rows}
    return [found[pk] for pk in ids if pk in found]


_STORED = (
    "pk",
    "worker_id",
    "job_id",
    "job__name",
    "scheduled_for",
    "started_at",
    "completed_at",
    "target",
    "status",
    "response_status",
    "error_message",
    "execution_type",
)


def _of_row(
    pk: UUID,
    worker_id: UUID | None,
    job_id: UUID,
    job_name: str,
    scheduled_for: datetime | None,
    started_at: datetime,
    completed_at: datetime | None,
    target: str,
    status: str,
    response_status: int | None,
    error: str,
    kind: str,
) -> Finished:
    ran = status in RAN
    return Finished(
        pk,
        worker_id,
        job_id,
        job_name,
        scheduled_for,
        started_at,
        completed_at or started_at,
        target,
        Outcome(status == Status.SUCCESS, response_status, error=error),
        [],
        unrun=None if ran else Status(status),
        kind=kind,
    )


RAN = {Status.SUCCESS.value, Status.FAILED.value}


class Progress(NamedTuple):
    """An execution that continues: the attempts made so far."""

    execution_id: UUID
    worker_id: UUID | None
    attempts: list[dict[str, Any]]


class Followed(NamedTuple):
    """An execution whose call has ended while the run that it started continues: from here on no worker owns it.
    `ask_after`: the seconds for which the run's status address asks to be left alone; 0 if it does not say.
    """

    execution_id: UUID
    worker_id: UUID | None
    run: Run
    response_status: int | None
    output: str
    target: str
    attempts: list[dict[str, Any]]
    exchanged: Exchanged | None = None
    ask_after: float = 0
    job_name: str = ""
    team: str = ""


class CallBegins(NamedTuple):
    """A call before which the database is asked is about to begin. `told` is called once that is stored, with whether
    the execution has not ended and still belongs to its worker.
    """

    execution_id: UUID
    worker_id: UUID | None
    told: Callable[[bool], object]


Item = Finished | Progress | Followed | CallBegins
