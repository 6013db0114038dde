"""Starts the runs of batches that are due. The leader calls it."""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from core.api.errors import DomainError, Forbidden, NotFound, TooManyRequests
from executions import holds
from executions.models import OPEN, Batch, BatchRun, Execution, Status, TriggerType
from executions.services import get_execution, overrides_of, read_overrides, record_unrun, trigger_now
from jobs.fields import MisfirePolicy
from jobs.models import Job
from jobs.services import get_job
from windows.cover import Cover
from windows.models import Effect

log = logging.getLogger("cronsched.batches")
# Single runs that are read at a time.
_READ = 500
# Runs that are started in one transaction of SQLite, which costs a write to the disk; few, because firing waits for it.
_CHUNK = 10
# A run that a window holds is looked at again after this.
_LOOK_AGAIN = dt.timedelta(seconds=10)
_LONGEST_SECONDS = 1.0


class _Over(Exception):
    """Another leader has started the run, or it was cancelled or paused: nothing is written."""


def start_due() -> int:
    """Start runs that are due, of every batch that is not paused, so many of each as it allows at once; returns how
    many were started, recorded as skipped or missed, or refused. One that cannot be started takes no other down.
    """
    runs = list(_due())
    if not runs:
        return 0
    # A single run is judged by the windows of its own time.
    cover = Cover.since(min(run.due_at for run in runs))
    held: set[UUID] = set()
    count = 0
    # On PostgreSQL one by one, because firing and recording lock rows in another order than several runs do.
    size = 1 if connection.features.has_select_for_update else _CHUNK
    for place in range(0, len(runs), size):
        with transaction.atomic():
            for run in runs[place : place + size]:
                if run.batch_id not in held:
                    went = _start(run, cover)
                    count += went is _Went.ON
                    if went is _Went.BATCH_WAITS:
                        held.add(run.batch_id)
    return count


def seconds_to_next() -> float:
    """Seconds to wait before `start_due`: until the next run is due, at most one second."""
    now = timezone.now()
    soon = BatchRun.objects.startable().filter(due_at__gt=now, due_at__lt=now + dt.timedelta(seconds=_LONGEST_SECONDS))
    following = soon.order_by("due_at").values_list("due_at", flat=True).first()
    return (following - now).total_seconds() if following else _LONGEST_SECONDS


def _due() -> Iterator[BatchRun]:
    now = timezone.now()
    due = BatchRun.objects.startable().filter(due_at__lte=now).select_related("batch__by").order_by("due_at", "pk")
    due = due.filter(Q(look_again_at=None) | Q(look_again_at__lte=now))
    yield from due.single()[:_READ]
    batches = list(Batch.objects.filter(pk__in=due.of_several().order_by().values("batch")))
    under_way = Execution.objects.filter(status__in=OPEN, trigger_type=TriggerType.MANUAL).order_by().values("pk")
    rows = BatchRun.objects.filter(batch__in=batches, execution_id__in=under_way)
    taken = Counter(rows.order_by().values_list("batch", flat=True)) if batches else Counter[UUID]()
    for batch in batches:
        room = batch.at_once - taken[batch.pk]
        if room > 0:
            yield from due.of_several().filter(batch=batch)[:room]


class _Went(Enum):
    """What became of a run: it was started, recorded or refused; it waits; or it waits, and its batch with it."""

    ON = "on"
    WAITS = "waits"
    BATCH_WAITS = "batch waits"


def _start(run: BatchRun, cover: Cover) -> _Went:
    """Start one run, or record why it does not start, unless it has to wait."""
    try:
        job, now = get_job(run.job_id), timezone.now()
        windows = _look(run, job, cover, now)
        if windows.is_held and run.fire_time is not None:
            # Fire times are filled in their order.
            return _Went.BATCH_WAITS
        if windows.is_held:
            BatchRun.objects.filter(pk=run.pk).update(look_again_at=now + _LOOK_AGAIN)
            return _Went.WAITS
        why = _why_not(run, job, windows, now)
        _claim(run, lambda: _record(run, job, *why) if why else _begin(run))
    except TooManyRequests:
        return _Went.BATCH_WAITS
    except _Over:
        return _Went.ON
    except DomainError as exc:
        _refuse(run, exc.message, is_gone=isinstance(exc, NotFound))
    except (OperationalError, InterfaceError):
        raise
    except Exception as exc:
        log.exception("a run of a batch cannot be started")
        _refuse(run, f"what is stored cannot be read: {exc}")
    return _Went.ON


@transaction.atomic
def _claim(run: BatchRun, begin: Any) -> None:
    """Write the execution that `begin` makes, once. Raises `_Over` if the run is no longer to be started."""
    execution = begin()
    # Locked, because a user may cancel or pause the batch at the same time.
    batch = Batch.objects.select_for_update().get(pk=run.batch_id)
    mine = BatchRun.objects.filter(pk=run.pk, execution_id=None, problem="")
    if batch.cancelled_at or batch.paused_at or not mine.update(execution_id=execution.pk):
        raise _Over


def _begin(run: BatchRun) -> Execution:
    by = run.batch.by
    if by is None or not by.is_active:
        raise Forbidden("Insufficient permissions", "The account that asked for the run is gone or disabled.")
    overrides, nominal_for = _asked_for(run)
    again = get_execution(run.original_id) if run.original_id and run.fire_time is None else None
    # The windows have been looked at.
    return trigger_now(run.job_id, {**overrides, "force": True}, by=by, nominal_for=nominal_for, again=again)


def _asked_for(run: BatchRun) -> tuple[dict[str, Any], dt.datetime | None]:
    """The overrides of the run and the fire time that it makes up for: its own, or those of the execution that it runs
    again.
    """
    if run.original_id is None or run.fire_time is not None:
        return run.overrides or {}, run.fire_time
    original = get_execution(run.original_id)
    return overrides_of(original), original.scheduled_for or original.nominal_for


def _record(run: BatchRun, job: Job, status: Status, reason: str) -> Execution:
    by = run.batch.by
    try:
        asked, nominal_for = _asked_for(run)
        overrides = read_overrides(job, asked, by=by) if by else None
    except (DomainError, ValueError):
        overrides, nominal_for = None, run.fire_time
    return record_unrun(job, status, reason, by=by, overrides=overrides, nominal_for=nominal_for)


class _Windows(NamedTuple):
    """What windows say of a run now: it waits for the end of one, or is skipped by one."""

    is_held: bool = False
    skipped_by: str = ""
    was_held: bool = False


def _look(run: BatchRun, job: Job, cover: Cover, now: dt.datetime) -> _Windows:
    """A single run is judged by the windows of its own time, as fire times are. One that was held starts within five
    minutes after the end, unless another window is open then. The runs of other batches are judged by the windows of
    now.
    """
    inside, was_held = cover.inside(job, run.due_at if run.is_single else now), False
    if run.is_single and inside and inside.window.effect == Effect.HOLD:
        if holds.start_after(inside.until, job.pk) > now:
            return _Windows(is_held=True)
        inside, was_held = cover.inside(job, now), True
    if inside is None:
        return _Windows(was_held=was_held)
    is_held = inside.window.effect == Effect.HOLD
    return _Windows(is_held, "" if is_held else inside.window.name, was_held)


def _why_not(run: BatchRun, job: Job, windows: _Windows, now: dt.datetime) -> tuple[Status, str] | None:
    """Why the run is recorded without a call: a window skips it, or a single run is too late for its job's policy."""
    if windows.skipped_by:
        return Status.SKIPPED, f"skipped: window {windows.skipped_by}"
    is_late = now - run.due_at >= dt.timedelta(seconds=job.misfire_grace_seconds)
    if run.is_single and not windows.was_held and is_late and job.misfire_policy == MisfirePolicy.SKIP:
        why = f"missed: no scheduler started it within {job.misfire_grace_seconds} s (misfire policy: skip)"
        return Status.MISSED, why
    return None


def _refuse(run: BatchRun, why: str, *, is_gone: bool = False) -> None:
    """Keep why a run could not be started. Nobody watches a single run, so it is recorded as failed and notified."""
    reason = why[:300]
    with transaction.atomic():
        refused = BatchRun.objects.filter(pk=run.pk, execution_id=None, problem="").update(problem=reason)
        job = Job.objects.filter(pk=run.job_id).first()
        if refused and run.is_single and not is_gone and job:
            execution = _record(run, job, Status.FAILED, f"not started: {reason}")
            BatchRun.objects.filter(pk=run.pk).update(execution_id=execution.pk)
