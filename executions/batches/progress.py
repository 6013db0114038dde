"""How far a batch is, and its verbs: pause, resume, cancel."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from django.utils import timezone

from accounts.models import User
from core.api import payload
from core.api.errors import Conflict, Forbidden, NotFound
from executions.models import OPEN, Batch, Execution, Status


class Progress(NamedTuple):
    """How many runs of a batch succeeded, ended otherwise, are open, and are left to start."""

    done: int
    failed: int
    open: int
    left: int

    @property
    def total(self) -> int:
        return sum(self)


def progress(batch: Batch) -> Progress:
    """How far a batch is."""
    ids = batch.runs.filter(execution_id__isnull=False).values("execution_id")
    found = Counter(Execution.objects.filter(pk__in=ids).order_by().values_list("status", flat=True))
    running = sum(found[status] for status in OPEN)
    done = found.pop(Status.SUCCESS, 0)
    left = 0 if batch.cancelled_at else batch.runs.filter(execution_id=None, problem="").count()
    refused = batch.runs.exclude(problem="").count()
    return Progress(done, sum(found.values()) - running + refused, running, left)


def get_batch(batch_id: object) -> Batch:
    """The batch with this id. Raises `Batch not found`."""
    message = f"There is no batch '{batch_id}'."
    pk = payload.uuid_or_404(batch_id, "Batch not found", message)
    found = Batch.objects.select_related("by").filter(pk=pk).first()
    if found is None:
        raise NotFound("Batch not found", message)
    return found


def may_touch_batch(batch: Batch, user: User) -> bool:
    """Who made it, and admins."""
    return user.is_admin or batch.by_id == user.pk


def cancel(batch: Batch, *, by: User) -> int:
    """Start none of the runs that are left, and return how many; what has started goes on. Raises `Batch already
    ended`.
    """
    left = _left(batch, by)
    if not Batch.objects.filter(pk=batch.pk, cancelled_at=None).update(cancelled_at=timezone.now()):
        raise _ended()
    return left


def pause(batch: Batch, *, by: User) -> None:
    """Start no further run until `resume`; what has started goes on. Raises `Batch already ended`."""
    _left(batch, by)
    Batch.objects.filter(pk=batch.pk, paused_at=None).update(paused_at=timezone.now())


def resume(batch: Batch, *, by: User) -> None:
    """Start the runs that are left. Raises `Batch already ended`."""
    _left(batch, by)
    Batch.objects.filter(pk=batch.pk).update(paused_at=None)


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
