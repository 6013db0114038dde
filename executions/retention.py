"""Retention: which executions are kept, by age and by count for each job and outcome. Others are deleted in small
steps.

Statistics are not affected: they are read from `executions.statistics.rollups`.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Sum
from django.utils import timezone

from executions.models import OPEN, PARTS, Batch, BatchRun, Exchange, Execution, Rollup, Status, StepLog
from executions.statistics.total_count import bump_history_version
from jobs.models import Job

# A step aims at a third of the 100 ms for which a writer may wait, because steps vary.
_AIM_SECONDS = 0.03
_FEWEST, _MOST = 20, 2000
# A history of at most this many executions is deleted together with its job.
_SHORT = 500
_STEP_LOGS_KEPT_DAYS = 30
_BATCHES_KEPT_DAYS = 365
_UNRUN = (Status.SKIPPED, Status.MISSED)


def prune(deleted: Callable[[int], object] | None = None) -> int:
    """Delete executions that are past retention, never open ones; returns how many. `deleted` is called with the
    total after each step.
    """
    total, step = 0, _Step()
    for ids in _doomed(step):
        total += step.delete(Execution.objects.filter(pk__in=ids))
        if deleted:
            deleted(total)
    _delete_old_exchanges()
    _delete_old_step_logs()
    _delete_old_batches()
    return total


def _delete_old_exchanges() -> None:
    """Delete the requests and answers of executions that are kept longer than these."""
    if not settings.EXCHANGES_KEPT_DAYS:
        return
    limit = timezone.now() - dt.timedelta(days=settings.EXCHANGES_KEPT_DAYS)
    # The ids of executions begin with the time at which they were written (RFC 9562, UUID version 7).
    first = UUID(int=int(limit.timestamp() * 1000) << 80)
    step, old = _Step(), Exchange.objects.filter(pk__lt=first).order_by()
    while ids := list(old.values_list("pk", flat=True)[: step.size]):
        step.delete(Exchange.objects.filter(pk__in=ids))


def _delete_old_step_logs() -> None:
    old = StepLog.objects.filter(kept_at__lt=timezone.now() - dt.timedelta(days=_STEP_LOGS_KEPT_DAYS)).order_by()
    step = _Step()
    while ids := list(old.values_list("pk", flat=True)[: step.size]):
        step.delete(StepLog.objects.filter(pk__in=ids))


def _delete_old_batches() -> None:
    """Delete the batches past retention, or of a year ago, of which no run is left to start."""
    limit = timezone.now() - dt.timedelta(days=settings.EXECUTIONS_KEPT_DAYS or _BATCHES_KEPT_DAYS)
    waiting = BatchRun.objects.waiting().filter(batch=OuterRef("pk"))
    Batch.objects.filter(~Exists(waiting), created_at__lt=limit).delete()


def delete_short_histories(job_ids: Sequence[UUID]) -> None:
    """Delete jobs with few executions, in the caller's transaction that deletes them; of the others, the open
    executions.
    """
    Execution.objects.filter(job__in=job_ids, status__in=OPEN).delete()
    for job_id in job_ids:
        if len(Execution.objects.filter(job=job_id).order_by().values_list("pk")[: _SHORT + 1]) <= _SHORT:
            Job.with_deleted.filter(pk=job_id).delete()


def delete_long_histories() -> int:
    """Delete the history of deleted jobs in small steps, and then the jobs; returns how many jobs."""
    jobs = list(Job.with_deleted.deleted().values_list("pk", flat=True))
    for job_id in jobs:
        histories: list[Any] = [Execution.objects.filter(job=job_id), Rollup.objects.filter(job=job_id)]
        for rows in histories:
            step = _Step()
            while ids := list(rows.order_by().values_list("pk", flat=True)[: step.size]):
                step.delete(rows.filter(pk__in=ids))
        Job.with_deleted.filter(pk=job_id).delete()
    return len(jobs)


class _Step:
    """Deletes rows in steps; `size` is the number of rows of the next one."""

    size = 200

    def delete(self, rows: Any) -> int:
        """Delete these rows in a transaction of their own, adapt the next step, and pause; returns how many."""
        began = time.perf_counter()
        with transaction.atomic():
            if rows.model is Execution:
                for part in PARTS:
                    of_rows: Any = part._base_manager.filter(execution__in=rows.values("pk"))
                    of_rows._raw_delete(using=rows.db)
            deleted: int = rows._raw_delete(using=rows.db)
            bump_history_version()
        took = time.perf_counter() - began
        self.adapt(took)
        # As long as the step took, so that other writers get the database.
        time.sleep(took)
        return deleted

    def adapt(self, took: float) -> None:
        """Adapt the size of the next step to the seconds that this one took."""
        self.size = min(max(int(self.size * min(2.0, _AIM_SECONDS / max(took, 0.001))), _FEWEST), _MOST)


def _doomed(step: _Step) -> Iterator[list[UUID]]:
    """Batches of executions to delete. Delete each batch before requesting the next."""
    if settings.EXECUTIONS_KEPT_DAYS:
        limit = timezone.now() - dt.timedelta(days=settings.EXECUTIONS_KEPT_DAYS)
        old = Execution.objects.filter(started_at__lt=limit).exclude(status__in=OPEN).order_by("started_at")
        while ids := list(old.values_list("pk", flat=True)[: step.size]):
            yield ids
    for statuses, kept in (
        ([Status.SUCCESS], settings.EXECUTIONS_KEPT_SUCCESS),
        ([Status.FAILED], settings.EXECUTIONS_KEPT_FAILED),
        (_UNRUN, settings.EXECUTIONS_KEPT_UNRUN),
    ):
        if kept:
            for job_id in _jobs_with_more(statuses, kept):
                surplus = Execution.objects.filter(job=job_id, status__in=statuses).newest_first()
                while ids := list(surplus.values_list("pk", flat=True)[kept : kept + step.size]):
                    yield ids


def _jobs_with_more(statuses: Sequence[Status], kept: int) -> list[UUID]:
    """The jobs that may have more executions with these outcomes than are kept; other jobs are skipped."""
    of_all = sum((F(status.value) for status in statuses[1:]), start=F(statuses[0].value))
    rows = Rollup.objects.order_by().values("job").annotate(of_all=Sum(of_all)).filter(of_all__gt=kept)
    return list(rows.values_list("job", flat=True))
