"""Batches: many executions that are run again together, once a job or each, spread over some minutes.

The leader starts what is due, at most `AT_ONCE` of a batch at a time, so that a batch of hundreds takes no slot from
what fires in the meantime.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from core.api.errors import Conflict, DomainError, Forbidden, Invalid, TooManyRequests, invalid_field
from executions.models import OPEN, Batch, BatchRun, Execution, Status
from executions.services import get_execution, run_again
from jobs.services import may_touch

AT_ONCE = 50
MOST = 1000
LONGEST_MINUTES = 120
_READ = 100


class _Started(Exception):
    """Another leader has started the run: nothing is written."""


class Progress(NamedTuple):
    """How many runs of a batch succeeded, ended otherwise, are open, and are left to start."""

    done: int
    failed: int
    open: int
    left: int

    @property
    def total(self) -> int:
        return sum(self)


def choose(executions: Iterable[Execution], by: User, *, once_a_job: bool) -> list[Execution]:
    """The executions to run again: those that the user may run; `once_a_job`: the first of each job only, so the order
    decides.
    """
    chosen = [one for one in executions if may_touch(one.job, by)]
    return list({one.job_id: one for one in reversed(chosen)}.values()) if once_a_job else chosen


@transaction.atomic
def create(chosen: Sequence[Execution], title: str, *, minutes: int, by: User) -> Batch:
    """A batch that runs these executions again, evenly spread over `minutes` (0-120) from now. Raises
    `Invalid payload` without any, or beyond 1,000.
    """
    if not 0 <= minutes <= LONGEST_MINUTES:
        raise invalid_field("minutes", f"'minutes' is a whole number from 0 to {LONGEST_MINUTES}.")
    if not chosen:
        raise Invalid("Invalid payload", "None of these executions may be run again by you.")
    if len(chosen) > MOST:
        raise Invalid("Invalid payload", f"A batch has at most {MOST} runs; these are {len(chosen)}: narrow them down.")
    batch = Batch.objects.create(title=title[:200], by=by)
    step = dt.timedelta(minutes=minutes) / len(chosen)
    BatchRun.objects.bulk_create(
        BatchRun(batch=batch, job_id=one.job_id, original_id=one.pk, due_at=batch.created_at + number * step)
        for number, one in enumerate(chosen)
    )
    return batch


def cancel(batch: Batch, *, by: User) -> int:
    """Start none of the runs that are left, and return how many; what has started goes on. Raises `Batch already
    ended`.
    """
    if not by.is_admin and batch.by_id != by.pk:
        raise Forbidden("Insufficient permissions", "Only who made the batch and admins may cancel it.")
    left = progress(batch).left
    if not left or not Batch.objects.filter(pk=batch.pk, cancelled_at=None).update(cancelled_at=timezone.now()):
        raise Conflict("Batch already ended", "No run of the batch is left to start.")
    return left


def progress(batch: Batch) -> Progress:
    """How far a batch is."""
    ids = batch.runs.filter(execution_id__isnull=False).values("execution_id")
    found = Counter(Execution.objects.filter(pk__in=ids).order_by().values_list("status", flat=True))
    running = sum(found[status] for status in OPEN)
    done = found.pop(Status.SUCCESS, 0)
    left = 0 if batch.cancelled_at else batch.runs.filter(execution_id=None, problem="").count()
    refused = batch.runs.exclude(problem="").count()
    return Progress(done, sum(found.values()) - running + refused, running, left)


def start_due() -> int:
    """Start runs that are due, of every batch; returns how many were started or refused."""
    waiting = BatchRun.objects.filter(execution_id=None, problem="", due_at__lte=timezone.now())
    runs = list(waiting.filter(batch__cancelled_at=None).select_related("batch__by").order_by("due_at", "pk")[:_READ])
    room = {batch: AT_ONCE - progress(batch).open for batch in {run.batch for run in runs}}
    count = 0
    for run in runs:
        if room[run.batch] > 0 and _start(run):
            room[run.batch] -= 1
            count += 1
    return count


def _start(run: BatchRun) -> bool:
    """Start one run; False if it has to wait for other runs of its user."""
    by = run.batch.by
    try:
        if by is None or not by.is_active:
            raise Forbidden("Insufficient permissions", "The account that made the batch is gone or disabled.")
        original = get_execution(run.original_id)
        with transaction.atomic():
            execution = run_again(original, by=by)
            if not BatchRun.objects.filter(pk=run.pk, execution_id=None).update(execution_id=execution.pk):
                raise _Started
    except TooManyRequests:
        return False
    except _Started:
        return True
    except DomainError as exc:
        BatchRun.objects.filter(pk=run.pk).update(problem=exc.message[:300])
    return True
