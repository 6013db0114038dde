"""Executions that windows hold until they end: the latest fire time of each job."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.utils import timezone

from executions.models import Execution, Hold, Status
from executions.statistics import rollups
from executions.statistics.rollups import Ended
from windows.cover import OPEN_ENDED, Inside
from windows.models import Window

# What is held starts within this time after the end of its window, each job at its own instant.
SPREAD = dt.timedelta(minutes=5)


def hold(held: Mapping[UUID, Inside], job_of: Mapping[UUID, UUID]) -> None:
    """Hold new queued executions. Those that were held before for the same jobs are skipped for them."""
    _supersede(set(job_of.values()), set(held))
    Hold.objects.bulk_create(
        Hold(execution_id=pk, window_id=inside.window.pk, until=_start(inside.until, job_of[pk]))
        for pk, inside in held.items()
    )


def _supersede(job_ids: set[UUID], kept: set[UUID]) -> None:
    before = Execution.objects.filter(job__in=job_ids, status=Status.QUEUED, hold__isnull=False).exclude(pk__in=kept)
    rows = list(before.order_by("pk").select_for_update(of=("self",)))
    if not rows:
        return
    now = timezone.now()
    ids = [row.pk for row in rows]
    Execution.objects.filter(pk__in=ids).update(
        status=Status.SKIPPED, completed_at=now, error_message="skipped: a later fire time is held in its place"
    )
    Hold.objects.filter(pk__in=ids).delete()
    rollups.count(Ended(row.job_id, row.execution_type, row.started_at, Status.SKIPPED, None) for row in rows)


def on_end_changed(sender: Any, window: Window, **_: Any) -> None:
    """Release what a window holds at its new end."""
    held = list(Hold.objects.filter(window_id=window.pk).select_related("execution"))
    for one in held:
        one.until = _start(window.ends_at, one.execution.job_id)
    Hold.objects.bulk_update(held, ["until"], batch_size=500)


def are_due() -> bool:
    """Whether a held execution may start."""
    return Hold.objects.filter(until__lte=timezone.now(), execution__status=Status.QUEUED).exists()


def _start(end: dt.datetime | None, job_id: UUID) -> dt.datetime:
    if end is None:
        return OPEN_ENDED
    return end + SPREAD * (job_id.int % 1000) / 1000
