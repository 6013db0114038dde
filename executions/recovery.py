"""Executions whose worker died: carried out by another, or ended with a plain reason. None stays `running` for ever."""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from django.db.models import F, QuerySet

from executions import engine, queueing
from executions.engine import Delivery
from executions.models import OPEN, Execution, Status, Worker
from executions.recorder import STALE_SECONDS, Finished, store
from executions.services import delivery_of, hand_over, owner, target_of, team_limits
from executions.targets import Outcome
from jobs.targets import GitHubTarget

log = logging.getLogger("cronsched.recovery")
MOST_TAKEOVERS = 3
# The leader looks every three seconds.
_GAP_SECONDS = 8.0
_BATCH = 500


def recover() -> int:
    """Take over the open executions of workers that are gone; returns how many. The leader calls it every few seconds.

    Webhooks are called again (their `Idempotency-Key` is the same), GitHub dispatches only if their call had not begun: whether GitHub
    started a workflow whose answer was lost cannot be known.
    """
    bury_dead_workers()
    if owner() is None:
        return _release(_orphans().exclude(worker_id=None)[:_BATCH])
    orphans = list(_orphans()[:_BATCH])
    if not orphans:
        return 0
    with engine.local_engine().expecting(execution.pk for execution in orphans):
        mine = [execution for execution in orphans if _claim(execution)]
        ended = resume(mine, team_limits())
    log.warning("took over %d executions of workers that are gone; %d of them are ended", len(mine), ended)
    return len(mine)


def _release(orphans: Iterable[Execution]) -> int:
    """Let Celery workers claim the executions of those that are gone, and end what cannot be repeated."""
    released: list[Execution] = []
    ended: list[Finished] = []
    for execution in orphans:
        reason = _why_not(execution)
        if reason:
            ended.append(Finished.of(execution, Outcome(False, error=reason), execution.worker_id))
        elif _give_to(None, execution):
            released.append(execution)
    store(ended)
    queueing.send(queueing.kinds_of(released))
    if released or ended:
        log.warning("released %d executions of workers that are gone, and ended %d", len(released), len(ended))
    return len(released) + len(ended)


def carry_on(executions: Sequence[Execution], limits: Mapping[UUID, int]) -> None:
    """Carry out stored executions whose call has not begun: here where they are this process's, else by Celery workers."""
    if owner() is None:
        queueing.send(queueing.kinds_of(executions))
    else:
        resume(executions, limits)


def resume(executions: Sequence[Execution], limits: Mapping[UUID, int]) -> int:
    """Carry out stored executions of this worker, and end those that cannot be; returns how many were ended."""
    ended: list[Finished] = []
    deliveries: list[Delivery] = []
    for execution in executions:
        try:
            reason = _why_not(execution)
            deliveries += [] if reason else [_delivery(execution, limits)]
        except (ValueError, TypeError, IndexError, AttributeError) as exc:
            reason = f"what is stored of the job cannot be carried out: {exc}"
        if reason:
            ended.append(Finished.of(execution, Outcome(False, error=reason), engine.worker_id()))
    store(ended)
    hand_over(deliveries)
    return len(ended)


def bury_dead_workers() -> int:
    """Delete the rows of workers whose heartbeat has stopped, and of those on this host whose process is gone."""
    workers = list(Worker.objects.all())
    stopped = _heartbeats.stopped(workers)
    dead = [worker.pk for worker in workers if worker.pk in stopped or _is_gone(worker)]
    if dead:
        Worker.objects.filter(pk__in=dead).delete()
    return len(dead)


class Heartbeats:
    """Tells which workers' heartbeats have stopped, by the time that passes here: no other host's clock counts, and no jump of ours."""

    def __init__(self) -> None:
        self._seen: dict[UUID, tuple[dt.datetime, float]] = {}
        self._looked_at = 0.0

    def stopped(self, workers: Sequence[Worker]) -> set[UUID]:
        """Those of the workers whose heartbeat has not changed for `STALE_SECONDS` since it was first seen."""
        now = time.monotonic()
        if now - self._looked_at > _GAP_SECONDS:
            # Who was frozen itself has not seen that others stopped.
            self._seen.clear()
        self._looked_at = now
        self._seen = {worker.pk: self._entry(worker, now) for worker in workers}
        return {pk for pk, (_, since) in self._seen.items() if now - since >= STALE_SECONDS}

    def _entry(self, worker: Worker, now: float) -> tuple[dt.datetime, float]:
        known = self._seen.get(worker.pk)
        return known if known is not None and known[0] == worker.heartbeat_at else (worker.heartbeat_at, now)


_heartbeats = Heartbeats()


def _is_gone(worker: Worker) -> bool:
    if worker.host != socket.gethostname():
        return False
    try:
        os.kill(worker.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _orphans() -> QuerySet[Execution]:
    """The executions that a worker should be carrying out, but none is. A run that is followed needs none."""
    called = Execution.objects.filter(status=Status.RUNNING, run_id__isnull=True).select_related("job__pic_team")
    return called.exclude(worker_id__in=Worker.objects.values("id"))


def _claim(execution: Execution) -> bool:
    """Make it ours, unless another did; keeps in `worker_id` whose it was."""
    return _give_to(engine.worker_id(), execution)


def _give_to(worker_id: UUID | None, execution: Execution) -> bool:
    same = Execution.objects.filter(pk=execution.pk, worker_id=execution.worker_id, status__in=OPEN)
    return bool(same.update(worker_id=worker_id, takeovers=F("takeovers") + 1))


def _why_not(execution: Execution) -> str:
    """Why it is not carried out again; '' if it is."""
    overrides = execution.overrides or {}
    if execution.takeovers >= MOST_TAKEOVERS:
        return f"given up: {execution.takeovers} processes ended while they carried it out"
    if overrides.get("github_token"):
        return "the process that held this run's GitHub token ended; run it again"
    if execution.worker_id is not None and isinstance(target_of(execution), GitHubTarget):
        return "the process that dispatched it ended before GitHub's answer; it is not repeated, as the workflow may have started"
    return ""


def _delivery(execution: Execution, limits: Mapping[UUID, int]) -> Delivery:
    overrides = execution.overrides or {}
    return delivery_of(
        execution.job,
        execution.pk,
        execution.started_at,
        target_of(execution),
        overrides.get("metadata", execution.job.metadata),
        worker_id=engine.worker_id(),
        manual=execution.scheduled_for is None,
        limits=limits,
        attempts=tuple(execution.attempts),
    )
