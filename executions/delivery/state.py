"""A delivery: one execution on its way to its target, and the attempts made so far."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from executions.delivery.concurrency import Limits
from executions.delivery.retry import NO_RETRY, RetryPolicy
from executions.targets import Deliverable


class Delivery(NamedTuple):
    """A stored execution that the worker `worker_id` carries out; None: any Celery worker may claim it.

    `timeout` and `connect_timeout` apply to each call, `delay` comes before the first call; all in seconds. Calls
    wait while a limit of `limits` is reached. `attempts` are those that were made before.
    """

    execution_id: UUID
    worker_id: UUID | None
    job_id: UUID
    job_name: str
    started_at: datetime
    target: str
    deliverable: Deliverable
    timeout: float
    connect_timeout: float | None = None
    retry: RetryPolicy = NO_RETRY
    delay: float = 0
    limits: Limits = ()
    manual: bool = False
    attempts: tuple[dict[str, Any], ...] = ()


class DeliveryState:
    """The progress of a delivery: its attempts, their number, and when it was accepted (monotonic seconds)."""

    __slots__ = ("accepted_at", "attempts", "delivery", "tries")

    def __init__(self, delivery: Delivery, accepted_at: float) -> None:
        self.delivery = delivery
        self.attempts = list(delivery.attempts)
        self.tries = len(self.attempts) if delivery.deliverable.repeatable else 0
        self.accepted_at = accepted_at
