"""Executions that windows hold until they end: the latest fire time of each job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from executions.models import Execution, Hold, Status
from executions.statistics import rollups
from executions.statistics.rollups import Ended
from windows.cover import OF_SCOPE, OPEN_ENDED, Cover, Inside
from windows.models import Effect

# What is held starts within this time after the end of its window, each job at its own instant.
SPREAD = dt.timedelta(minutes=5)
_READ = (
    "until", *(f"execution__job__{name}" for name in ("is_active", "end_date", *OF_SCOPE))
)  # fmt: skip


def hold(held: Mapping[UUID, Inside], job_of: Mapping[UUID, UUID]) -> None:
    """Hold new queued executions. Those that were held before for the same jobs are skipped for them."""
    _supersede(set(job_of.values()), set(held))
    Hold.objects.bulk_create(
        Hold(execution_id=pk, until=start_after(inside.until, job_of[pk])) for pk, inside in held.items()
    )


def _supersede(job_ids: set[UUID], kept: set[UUID]) -> None:
    before = Execution.objects.filter(job__in=job_ids, status=Status.QUEUED, hold__isnull=False).exclude(pk__in=kept)
    rows = list(before.order_by("pk").select_for_update(of=("self",)))
    _skip(rows, dict.fromkeys((row.pk for row in rows), "skipped: a later fire time is held in its place"))


def review(now: dt.datetime) -> bool:
    """Compare what is held with the windows and jobs as they are now; returns whether something may start.

    What no window holds any more starts within five minutes. What a window skips now ends as skipped, and so does what
    belongs to a job that was disabled or has ended.
    """
    held = list(_held().select_related("execution__job").only(*_READ).order_by("pk"))
    if not held:
        return False
    cover = Cover.now()
    moved, over = list[Hold](), dict[UUID, str]()
    for one in held:
        job = one.execution.job
        inside = cover.inside(job, now)
        if not job.is_active or job.has_ended:
            over[one.pk] = "skipped: the job was disabled, or has ended, while this run was held"
        elif inside and inside.window.effect == Effect.SKIP:
            over[one.pk] = f"skipped: window {inside.window.name}"
        else:
            until = start_after(inside.until if inside else now, job.pk)
            # Without a window a start that is near stands.
            if until != one.until if inside else one.until > now + SPREAD:
                one.until = until
                moved.append(one)
    Hold.objects.bulk_update(moved, ["until"], batch_size=500)
    if over:
        _end(over)
    return any(one.until <= now for one in held if one.pk not in over)


def _held() -> QuerySet[Hold]:
    return Hold.objects.filter(execution__status=Status.QUEUED)


def are_due() -> bool:
    """Whether something that was held may start."""
    return _held().filter(until__lte=timezone.now()).exists()


def _end(reasons: Mapping[UUID, str]) -> None:
    with transaction.atomic():
        rows = Execution.objects.filter(pk__in=reasons, status=Status.QUEUED).order_by("pk")
        _skip(list(rows.select_for_update(of=("self",))), reasons)


def _skip(rows: Sequence[Execution], reasons: Mapping[UUID, str]) -> None:
    """End locked queued executions as skipped, in the caller's transaction."""
    now = timezone.now()
    for row in rows:
        row.status, row.completed_at, row.error_message = Status.SKIPPED, now, reasons[row.pk]
    Execution.objects.bulk_update(rows, ["status", "completed_at", "error_message"], batch_size=500)
    Hold.objects.filter(pk__in=[row.pk for row in rows]).delete()
    rollups.count(Ended(row.job_id, row.execution_type, row.started_at, Status.SKIPPED, None) for row in rows)


def start_after(end: dt.datetime | None, job_id: UUID) -> dt.datetime:
    """When a job's held run starts after the end of a window: within five minutes, each job at its own instant."""
    if end is None:
        return OPEN_ENDED
    return end + SPREAD * (job_id.int % 1000) / 1000
