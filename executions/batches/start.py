"""Starts the runs of batches that are due. The leader calls it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.utils import timezone

from core.api.errors import DomainError, Forbidden, NotFound, TooManyRequests
from executions import holds
from executions.batches.progress import progress
from executions.models import Batch, BatchRun, Execution, Status
from executions.services import get_execution, record_unrun, run_again, trigger_now
from jobs.fields import MisfirePolicy
from jobs.models import Job
from jobs.services import get_job
from windows.cover import Cover
from windows.models import Effect

# Single runs that are read at a time.
_READ = 500
# An open-ended window is looked at again after this.
_LOOK_AGAIN = dt.timedelta(minutes=1)
_LONGEST_SECONDS = 1.0


class _Started(Exception):
    """Another leader has started the run: nothing is written."""


def start_due() -> int:
    """Start runs that are due, of every batch that is not paused, so many of each as it allows at once; returns how
    many were started, recorded as skipped or missed, or refused.
    """
    runs = list(_due())
    if not runs:
        return 0
    cover = Cover.now()
    return sum(_start(run, cover) for run in runs)


def seconds_to_next() -> float:
    """Seconds to wait before `start_due`: until the next run is due, at most one second."""
    now = timezone.now()
    coming = _waiting().filter(due_at__gt=now, due_at__lt=now + dt.timedelta(seconds=_LONGEST_SECONDS))
    following = coming.order_by("due_at").values_list("due_at", flat=True).first()
    return (following - now).total_seconds() if following else _LONGEST_SECONDS


def _waiting() -> Any:
    return BatchRun.objects.waiting().filter(batch__paused_at=None)


def _due() -> Iterator[BatchRun]:
    due = _waiting().filter(due_at__lte=timezone.now()).select_related("batch__by").order_by("due_at", "pk")
    yield from due.single()[:_READ]
    of_several = due.exclude(original_id=None, fire_time=None)
    for batch in Batch.objects.filter(pk__in=of_several.order_by().values("batch")):
        room = batch.at_once - progress(batch).open
        if room > 0:
            yield from of_several.filter(batch=batch)[:room]


def _start(run: BatchRun, cover: Cover) -> bool:
    """Start one run, or record why it does not start; False if it has to wait."""
    try:
        job = get_job(run.job_id)
        if _is_held(run, job, cover):
            return False
        why = _why_not(run, job, cover)
        with transaction.atomic():
            execution = record_unrun(job, *why, by=run.batch.by) if why else _begin(run)
            if not BatchRun.objects.filter(pk=run.pk, execution_id=None).update(execution_id=execution.pk):
                raise _Started
    except TooManyRequests:
        return False
    except _Started:
        return True
    except DomainError as exc:
        _refuse(run, exc)
    return True


def _begin(run: BatchRun) -> Execution:
    by = run.batch.by
    if by is None or not by.is_active:
        raise Forbidden("Insufficient permissions", "The account that asked for the run is gone or disabled.")
    if run.original_id is not None and run.fire_time is None:
        return run_again(get_execution(run.original_id), by=by)
    return trigger_now(run.job_id, run.overrides or {}, by=by, nominal_for=run.fire_time)


def _is_held(run: BatchRun, job: Job, cover: Cover) -> bool:
    """Whether a window holds the run: it starts after its end."""
    now = timezone.now()
    inside = cover.inside(job, now)
    if inside is None or inside.window.effect != Effect.HOLD:
        return False
    until = holds.start_after(inside.until, job.pk) if inside.until else now + _LOOK_AGAIN
    BatchRun.objects.filter(pk=run.pk).update(due_at=until)
    return True


def _why_not(run: BatchRun, job: Job, cover: Cover) -> tuple[Status, str] | None:
    """Why the run is recorded without a call: a window skips it, or a single run is too late for its job's policy."""
    now = timezone.now()
    inside = cover.inside(job, now)
    if inside:
        return Status.SKIPPED, f"skipped: window {inside.window.name}"
    grace = dt.timedelta(seconds=job.misfire_grace_seconds)
    if run.is_single and job.misfire_policy == MisfirePolicy.SKIP and now - run.due_at >= grace:
        why = f"missed: no scheduler started it within {job.misfire_grace_seconds} s (misfire policy: skip)"
        return Status.MISSED, why
    return None


def _refuse(run: BatchRun, exc: DomainError) -> None:
    """Keep why a run could not be started. Nobody watches a single run, so it is recorded as failed and notified."""
    reason = exc.message[:300]
    with transaction.atomic():
        refused = BatchRun.objects.filter(pk=run.pk, execution_id=None, problem="").update(problem=reason)
        if refused and run.is_single and not isinstance(exc, NotFound):
            job = get_job(run.job_id)
            record_unrun(job, Status.FAILED, f"not started: {reason}", by=run.batch.by)
