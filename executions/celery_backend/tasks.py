"""The Celery task: claim the executions of a message that are still free, and submit them to this process's engine."""

from __future__ import annotations

import logging
import threading
from typing import Any
from uuid import UUID

from celery import shared_task
from celery.signals import worker_shutting_down
from django.db import DatabaseError, InterfaceError, close_old_connections, connection, transaction

from core.db.among import among
from executions.celery_backend import dispatch
from executions.delivery import engine
from executions.delivery.carry_out import carry_out as carry_out_stored
from executions.delivery.carry_out import read_teams, with_jobs
from executions.models import Execution

log = logging.getLogger("cronsched.worker")
_FULL_SECONDS = 0.02
_stopping = threading.Event()


@shared_task(name=dispatch.TASK, ignore_result=True)  # type: ignore[untyped-decorator]  # celery has no types
def carry_out(*arguments: Any, **more: Any) -> int:
    """Claim and submit the executions of one message, `(VERSION, [ids])`; returns how many were still free.

    A message that cannot be read or stored is dropped: the leader sends unclaimed executions again.
    """
    ids = _read(arguments, more)
    if not ids:
        return 0
    delivery = engine.local_engine()
    while delivery.is_full and not _stopping.is_set():
        # If this process is full, the message stays on the queue for other workers.
        _stopping.wait(_FULL_SECONDS)
    if _stopping.is_set():
        return 0
    try:
        close_old_connections()
        with delivery.claiming(ids):
            return _carry_out(ids, delivery.worker_id)
    except (DatabaseError, InterfaceError) as exc:
        log.warning("%d executions could not be claimed and are sent again later: %s", len(ids), exc)
        connection.close()
        return 0


def _carry_out(ids: list[UUID], worker_id: UUID) -> int:
    with transaction.atomic():
        claimed = dispatch.claim(ids, worker_id)
        executions = with_jobs(Execution.objects.filter(among(claimed)))
        teams = read_teams()
    carry_out_stored(executions, teams)
    return len(executions)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: Any) -> None:
    _stopping.set()


def _read(arguments: tuple[Any, ...], more: dict[str, Any]) -> list[UUID]:
    try:
        version, ids = arguments
        if version != dispatch.VERSION or more:
            raise ValueError(f"version {version!r}")
        return [UUID(hex=one) for one in ids]
    except (ValueError, TypeError, AttributeError) as exc:
        log.warning("dropped a message that this version cannot read (%s); its executions are sent again", exc)
        return []
