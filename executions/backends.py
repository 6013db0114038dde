"""The execution backends: `local` (the engine of this process) and `celery` (workers that claim rows)."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError

from core.db.among import among
from executions.celery_backend import dispatch
from executions.delivery import caller, engine
from executions.delivery.carry_out import Teams, carry_out
from executions.delivery.state import Delivery
from executions.http.connect import Origin
from executions.models import OPEN, Execution

log = logging.getLogger("cronsched.backends")
_BATCH = 500


def new_worker_id() -> UUID | None:
    """The worker that owns new executions: this process, or None if Celery workers claim them."""
    return engine.worker_id() if settings.EXECUTION_BACKEND == "local" else None


def submit(deliveries: Sequence[Delivery]) -> None:
    """Submit stored executions: those that this process owns to its engine, the others to Celery workers."""
    own = [delivery for delivery in deliveries if delivery.worker_id is not None]
    if own:
        engine.local_engine().submit(own)
    dispatch.send({one.execution_id: one.deliverable.kind for one in deliveries if one.worker_id is None})


def burst() -> AbstractContextManager[None]:
    """Say that executions are submitted until the context ends."""
    return engine.local_engine().burst() if settings.EXECUTION_BACKEND == "local" else nullcontext()


def prepared(delivery: Delivery) -> Delivery:
    """A planned delivery with what can be made before its call, if this process makes it. Raises `DeliveryError`."""
    return delivery.prepared() if settings.EXECUTION_BACKEND == "local" else delivery


def open_ahead(wanted: Mapping[Origin, int]) -> None:
    """Open connections for calls that come within seconds, if this process makes them."""
    if wanted and settings.EXECUTION_BACKEND == "local":
        engine.local_engine().open_ahead(wanted)


def start(executions: Sequence[Execution], teams: Teams) -> None:
    """Start stored executions whose calls have not begun: in this process if it owns them, else through Celery
    workers.
    """
    if new_worker_id() is None:
        dispatch.send(dispatch.kinds_of(executions))
    else:
        carry_out(executions, teams)


def shut_down() -> None:
    """Stop this process's engine, store all outcomes, and release the deliveries that it did not start."""
    mine: defaultdict[UUID | None, list[UUID]] = defaultdict(list)
    caller.shut_down_local_caller()
    for delivery in engine.shutdown_local_engine(settings.ENGINE_DRAIN_SECONDS):
        mine[delivery.worker_id].append(delivery.execution_id)
    for worker_id, ids in mine.items():
        for first in range(0, len(ids), _BATCH):
            # Executions that another worker claimed in the meantime stay with it.
            held = Execution.objects.filter(among(ids[first : first + _BATCH]), worker_id=worker_id, status__in=OPEN)
            try:
                held.update(worker_id=None, call_began_at=None)
            except (DatabaseError, InterfaceError) as exc:
                # Recovery finds them by their dead worker; no call of theirs had begun.
                log.warning("%d executions could not be released: %s", len(ids), exc)
                return
