"""Recovers executions whose worker died: another worker delivers them, or they end with a reason. None stays
`running` for ever.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from django.db.models import F, Min, QuerySet
from django.utils import timezone

from executions import backends
from executions.celery_backend import dispatch
from executions.delivery import engine
from executions.delivery.carry_out import carry_out, read_teams, why_not
from executions.delivery.start_deadline import deadlines_of, missed
from executions.models import OPEN, Execution, Status, Worker
from executions.recording.outcomes import Finished
from executions.recording.storage import store
from executions.recording.worker import STALE_SECONDS, pid_namespace
from executions.targets import Outcome
from jobs.fields import MisfirePolicy
from jobs.models import Job

log = logging.getLogger("cronsched.recovery")
# The leader calls this every three seconds; a longer gap means that this process was suspended.
_GAP_SECONDS = 8.0
RESCUE_AFTER = dt.timedelta(hours=24)
_BATCH = 500


def recover() -> int:
    """Take over the open executions of dead workers; returns how many. The leader calls it every few seconds.

    Webhooks are called again (with the same `Idempotency-Key`). GitHub dispatches are repeated only if their call had
    not begun: if an answer was lost, nobody knows whether GitHub started the workflow.
    """
    delete_dead_workers()
    if backends.new_worker_id() is None:
        return _release(_orphans().exclude(worker_id=None).order_by("pk")[:_BATCH])
    orphans = list(_orphans().order_by("pk")[:_BATCH])
    if not orphans:
        return 0
    with engine.local_engine().claiming(execution.pk for execution in orphans):
        mine = [execution for execution in orphans if _give_to(engine.worker_id(), execution)]
        ended = carry_out(mine, read_teams())
    log.warning("took over %d executions of dead workers and ended %d of them", len(mine), ended)
    return len(mine)


def end_missed() -> int:
    """End the unclaimed executions that have missed their start deadline; returns how many. The leader calls it every
    few seconds, so that an outage of all workers leaves no backlog that grows.
    """
    judged = Job.objects.exclude(misfire_policy=MisfirePolicy.RUN_ALL)
    shortest = judged.aggregate(seconds=Min("misfire_grace_seconds"))["seconds"]
    if shortest is None:
        return 0
    waiting = Execution.objects.unclaimed().exclude(job__misfire_policy=MisfirePolicy.RUN_ALL)
    late = waiting.filter(started_at__lt=timezone.now() - dt.timedelta(seconds=shortest)).order_by("pk")
    ended, last = 0, UUID(int=0)
    while batch := list(late.filter(pk__gt=last).select_related("job")[:_BATCH]):
        last = batch[-1].pk
        reasons = missed(batch, deadlines_of(batch, None))
        store([Finished.missed(one, reasons[one.pk], None) for one in batch if one.pk in reasons])
        ended += len(reasons)
    if ended:
        log.warning("%d executions waited for a worker for too long: missed", ended)
    return ended


def rescue() -> int:
    """End executions that are still running long after every limit on their calls: the last net, should a worker live
    and forget one. Returns how many.
    """
    now = timezone.now()
    running = Execution.objects.filter(status=Status.RUNNING, run_id=None, started_at__lt=now - RESCUE_AFTER)
    stuck = [one for one in running.select_related("job").order_by("started_at")[:_BATCH] if _is_stuck(one, now)]
    hours = int(RESCUE_AFTER.total_seconds() // 3600)
    reason = f"given up: no outcome within {hours} hours, jitter and retries not counted"
    store([Finished.of(one, Outcome(False, error=reason), one.worker_id) for one in stuck])
    if stuck:
        log.error("gave up %d executions that had no outcome for %d hours", len(stuck), hours)
    return len(stuck)


def _is_stuck(execution: Execution, now: dt.datetime) -> bool:
    job = execution.job
    allowed = dt.timedelta(seconds=job.jitter_seconds + job.retry_deadline_seconds)
    return execution.started_at < now - RESCUE_AFTER - allowed


def _release(orphans: Iterable[Execution]) -> int:
    """Free the executions of dead workers for Celery workers, and end those that cannot be repeated."""
    released: list[Execution] = []
    ended: list[Finished] = []
    for execution in orphans:
        reason = why_not(execution)
        if reason:
            ended.append(Finished.of(execution, Outcome(False, error=reason), execution.worker_id))
        elif _give_to(None, execution):
            released.append(execution)
    store(ended)
    dispatch.send(dispatch.kinds_of(released))
    if released or ended:
        log.warning("released %d executions of dead workers, and ended %d", len(released), len(ended))
    return len(released) + len(ended)


def delete_dead_workers() -> int:
    """Delete the rows of workers whose heartbeat has stopped, and of workers on this host whose process is gone."""
    workers = list(Worker.objects.all())
    stopped = heartbeats.stopped(workers)
    dead = [worker.pk for worker in workers if worker.pk in stopped or _is_gone(worker)]
    if dead:
        Worker.objects.filter(pk__in=dead).delete()
    return len(dead)


class Heartbeats:
    """Detects workers whose heartbeat has stopped, by this process's monotonic clock: no wall clock is compared."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seen: dict[UUID, tuple[dt.datetime, float]] = {}
        self._looked_at = 0.0

    def stopped(self, workers: Sequence[Worker]) -> set[UUID]:
        """The workers whose heartbeat has not changed for `STALE_SECONDS` since it was first seen."""
        now = self._monotonic()
        if now - self._looked_at > _GAP_SECONDS:
            # This process was suspended. Heartbeats that it missed prove nothing about other workers, so observation
            # starts again.
            self._seen.clear()
        self._looked_at = now
        self._seen = {worker.pk: self._entry(worker, now) for worker in workers}
        return {pk for pk, (_, since) in self._seen.items() if now - since >= STALE_SECONDS}

    def _entry(self, worker: Worker, now: float) -> tuple[dt.datetime, float]:
        known = self._seen.get(worker.pk)
        return known if known is not None and known[0] == worker.heartbeat_at else (worker.heartbeat_at, now)


heartbeats = Heartbeats()


def _is_gone(worker: Worker) -> bool:
    if worker.host != socket.gethostname() or worker.namespace != pid_namespace():
        return False
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _orphans() -> QuerySet[Execution]:
    """Open executions without a live worker. A followed run needs no worker."""
    called = Execution.objects.filter(status=Status.RUNNING, run_id__isnull=True).select_related("job__pic_team")
    return called.exclude(worker_id__in=Worker.objects.values("id"))


def _give_to(worker_id: UUID | None, execution: Execution) -> bool:
    """Assign an execution to a worker unless it has changed hands; `execution.worker_id` keeps the id of its last
    worker.
    """
    same = Execution.objects.filter(pk=execution.pk, worker_id=execution.worker_id, status__in=OPEN)
    return bool(same.update(worker_id=worker_id, takeovers=F("takeovers") + 1))
