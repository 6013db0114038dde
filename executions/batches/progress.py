"""How far a batch is, and its verbs: pause, resume, cancel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.utils import timezone

from accounts.models import User
from core.api import payload
from core.api.errors import Conflict, Forbidden, NotFound
from executions.models import OPEN, Batch, BatchRun, Execution, Status
from jobs.models import Job
from jobs.services import may_touch


class Progress(NamedTuple):
    """How many runs of a batch succeeded, ended otherwise, are open, and are left to start."""

    done: int
    failed: int
    open: int
    left: int


def progress(batch: Batch) -> Progress:
    """How far a batch is."""
    return progress_of([batch])[batch.pk]


def progress_of(batches: Sequence[Batch]) -> dict[UUID, Progress]:
    """How far batches are, in two queries."""
    mine = BatchRun.objects.filter(batch__in=batches).order_by()
    runs = mine.values_list("batch", "execution_id", "problem")
    started: dict[UUID, UUID] = {}
    refused, waiting = Counter[UUID](), Counter[UUID]()
    for batch_id, execution_id, problem in runs:
        if problem:
            refused[batch_id] += 1
        elif execution_id:
            started[execution_id] = batch_id
        else:
            waiting[batch_id] += 1
    counts = Counter(
        (started[pk], status)
        for pk, status in Execution.objects.filter(pk__in=mine.exclude(execution_id=None).values("execution_id"))
        .order_by()
        .values_list("pk", "status")
    )
    return {
        batch.pk: Progress(
            counts[batch.pk, Status.SUCCESS],
            refused[batch.pk] + sum(counts[batch.pk, one] for one in Status if one not in {*OPEN, Status.SUCCESS}),
            sum(counts[batch.pk, one] for one in OPEN),
            0 if batch.cancelled_at else waiting[batch.pk],
        )
        for batch in batches
    }


def get_batch(batch_id: object) -> Batch:
    """The batch with this id. Raises `Batch not found`."""
    message = f"There is no batch '{batch_id}'."
    pk = payload.uuid_or_404(batch_id, "Batch not found", message)
    found = Batch.objects.select_related("by").filter(pk=pk).first()
    if found is None:
        raise NotFound("Batch not found", message)
    return found


def cancel(batch: Batch, *, by: User) -> int:
    """Start none of the runs that are left, and return how many; what has started goes on. Raises `Batch already
    ended`.
    """
    left = _left(batch, by)
    if not Batch.objects.filter(pk=batch.pk, cancelled_at=None).update(cancelled_at=timezone.now()):
        raise _ended()
    return left


def give_up(job_ids: Sequence[UUID]) -> None:
    """Start none of the runs that are left of jobs that are deleted."""
    BatchRun.objects.waiting().filter(job_id__in=job_ids).update(problem="Job not found: it was deleted.")


def pause(batch: Batch, *, by: User) -> None:
    """Start no further run until `resume`; what has started goes on. Raises `Batch already ended`, and
    `Single runs cannot be paused`.
    """
    _left(batch, by)
    if not batch.runs.of_several().exists():
        raise Conflict("Single runs cannot be paused", "Cancel the single run, and plan another one.")
    Batch.objects.filter(pk=batch.pk, paused_at=None).update(paused_at=timezone.now())


def resume(batch: Batch, *, by: User) -> None:
    """Start the runs that are left. Raises `Batch already ended`."""
    _left(batch, by)
    Batch.objects.filter(pk=batch.pk).update(paused_at=None)


def may_touch_batch(batch: Batch, user: User) -> bool:
    """Who made it, admins, and of a single run also who may run its job."""
    if user.is_admin or batch.by_id == user.pk:
        return True
    single = batch.runs.single().first()
    job = Job.objects.filter(pk=single.job_id).first() if single else None
    return job is not None and may_touch(job, user)


def _left(batch: Batch, by: User) -> int:
    if not may_touch_batch(batch, by):
        raise Forbidden("Insufficient permissions", "Only who made the batch and admins may do this.")
    batch.refresh_from_db(fields=["cancelled_at"])
    left = progress(batch).left
    if not left:
        raise _ended()
    return left


def _ended() -> Conflict:
    return Conflict("Batch already ended", "No run of the batch is left to start.")
