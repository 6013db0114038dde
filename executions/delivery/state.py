"""A delivery: one execution on its way to its target, and the attempts made so far."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from django.utils import timezone

from executions.budgets import Budget
from executions.delivery.concurrency import Limits
from executions.delivery.retry import NO_RETRY, RetryPolicy
from executions.delivery.start_deadline import StartDeadline
from executions.exchanges import Exchanged
from executions.http.body import KEPT_CHARACTERS
from executions.http.retry_after import retry_after
from executions.models import Status, TriggerType
from executions.recording.outcomes import Finished, Followed
from executions.targets import Call, Deliverable, Outcome


class Delivery(NamedTuple):
    """A stored execution that the worker `worker_id` carries out; None: any Celery worker may claim it.

    `timeout` and `connect_timeout` apply to each call, `delay` comes before the first call; all in seconds. Calls
    wait while a limit of `limits` is reached, and for the `budget` of their credential, the lowest `priority` first.
    `attempts` are those that were made before. `scheduled_for` is None for
    a manual run. `jitter` is the job's own delay after the fire time, in seconds.
    """

    execution_id: UUID
    worker_id: UUID | None
    job_id: UUID
    job_name: str
    team: str
    started_at: datetime
    target: str
    deliverable: Deliverable
    timeout: float
    connect_timeout: float | None = None
    retry: RetryPolicy = NO_RETRY
    delay: float = 0
    limits: Limits = ()
    scheduled_for: datetime | None = None
    jitter: float = 0
    deadline: StartDeadline | None = None
    attempts: tuple[dict[str, Any], ...] = ()
    budget: Budget | None = None
    priority: int = 5

    def begun_at(self, now: datetime, worker_id: UUID | None) -> Delivery:
        """The delivery of an execution that a worker starts later than was planned."""
        late = (now - self.started_at).total_seconds()
        deadline = self.deadline and self.deadline.later_by(late)
        return self._replace(started_at=now, worker_id=worker_id, deadline=deadline)

    def call(self, attempt: int) -> Call:
        """The call of an attempt, counted from 1."""
        return Call(self.execution_id, attempt, self.scheduled_for, self.trigger)

    def prepared(self) -> Delivery:
        """The same with what can be made before the first call. Raises `DeliveryError`."""
        return self._replace(deliverable=self.deliverable.prepared(self.call(1)))

    @property
    def rank(self) -> tuple[int, datetime, UUID]:
        """The order in which deliveries leave that wait for a budget: priority, fire time, id."""
        return self.priority, self.scheduled_for or self.started_at, self.execution_id

    @property
    def trigger(self) -> str:
        return TriggerType.MANUAL if self.scheduled_for is None else TriggerType.SCHEDULED


class Phase(StrEnum):
    """What an execution in an engine does, or waits for."""

    JITTER = "jitter"
    BUDGET = "budget"
    LIMIT = "limit"
    CALLING = "calling"
    RETRY = "retry"


class Calls:
    """The calls of a delivery: the time of each, and the last one itself."""

    __slots__ = ("attempts", "last")

    def __init__(self, attempts: list[dict[str, Any]]) -> None:
        self.attempts = attempts
        self.last: Exchanged | None = None

    def without_secrets(self, outcome: Outcome) -> Outcome:
        """The outcome without the secrets of the last call, which its answer may hold."""
        if self.last is None or not self.last.request.has_secrets:
            return outcome
        hide = self.last.request.hide
        return outcome._replace(
            output=hide(outcome.output, is_cut=len(outcome.output) >= KEPT_CHARACTERS),
            error=hide(outcome.error, is_cut=True),
        )


class DeliveryState:
    """The progress of a delivery: its attempts, their number, and when the first one began (monotonic seconds; None
    before it). `is_held`: it is still the delivery of its execution, neither cancelled nor, after a late heartbeat,
    taken over and submitted again; the register sets it. `is_admitted`: the budget of its credential allows the next
    attempt. `ready_at`: since when it needs that; `waited`: the seconds that it waited for it.
    """

    __slots__ = (
        "began_at",
        "calls",
        "delivery",
        "has_started",
        "is_admitted",
        "is_forgotten",
        "is_held",
        "phase",
        "ready_at",
        "task",
        "tries",
        "waited",
    )

    def __init__(self, delivery: Delivery, now: float) -> None:
        self.delivery = delivery
        self.calls = Calls(list(delivery.attempts))
        self.tries = tries_in(self.attempts)
        self.began_at = now - _seconds_since(self.attempts[0]) if self.attempts else None
        self.task: asyncio.Task[None] | None = None
        self.has_started = self.is_forgotten = self.is_admitted = self.is_held = False
        self.phase = Phase.JITTER
        self.ready_at: datetime | None = None
        self.waited = 0.0

    @property
    def attempts(self) -> list[dict[str, Any]]:
        """The time of each call, as it is stored."""
        return self.calls.attempts

    def ended(self, outcome: Outcome, unrun: Status | None) -> Finished:
        """What is recorded of an execution that ends now."""
        delivery = self.delivery
        return Finished(
            execution_id=delivery.execution_id,
            worker_id=delivery.worker_id,
            job_id=delivery.job_id,
            job_name=delivery.job_name,
            scheduled_for=delivery.scheduled_for,
            started_at=delivery.started_at,
            completed_at=timezone.now(),
            target=outcome.target or delivery.target,
            outcome=outcome,
            attempts=self.attempts,
            jitter=delivery.jitter,
            unrun=unrun,
            kind=delivery.deliverable.kind,
            exchanged=self.calls.last,
            team=delivery.team,
        )

    def followed(self, outcome: Outcome) -> Followed:
        """What is recorded of an execution whose call started a run, which is followed from now on."""
        delivery = self.delivery
        assert outcome.run is not None
        return Followed(
            execution_id=delivery.execution_id,
            worker_id=delivery.worker_id,
            run=outcome.run,
            ask_after=retry_after(outcome.retry_after),
            response_status=outcome.response_status,
            output=outcome.output,
            target=outcome.target or delivery.target,
            attempts=self.attempts,
            exchanged=self.calls.last,
            job_name=delivery.job_name,
            team=delivery.team,
        )


def tries_in(attempts: Iterable[dict[str, Any]]) -> int:
    """The number of attempts that were followed by another. One attempt may hold several calls; its last one names the
    wait for the next attempt.
    """
    return sum("next_in_seconds" in call for call in attempts)


def _seconds_since(attempt: dict[str, Any]) -> float:
    return (timezone.now() - datetime.fromisoformat(attempt["started_at"])).total_seconds()
