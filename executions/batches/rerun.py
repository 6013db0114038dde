"""Executions that are run again together. The leader starts what is due, so many of a batch at a time, so that a batch
of hundreds takes no slot from what fires in the meantime.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery

from accounts.models import User
from core.api.errors import Invalid, invalid_field
from executions.models import Batch, BatchRun, Execution
from jobs.models import Job
from jobs.services import may_touch

MOST = 1000
LONGEST_MINUTES = 120


def choose(executions: QuerySet[Execution], by: User) -> list[Execution]:
    """The newest of some executions that the user may run, up to one more than a batch may have."""
    matching = executions.select_related("job").newest_first()  # type: ignore[attr-defined]
    # Others' executions take no place of the user's own.
    matching = matching if by.is_admin else matching.filter(job__created_by=by)
    return [one for one in matching[: MOST + 1] if may_touch(one.job, by)]


def choose_once(executions: QuerySet[Execution], by: User) -> list[Execution]:
    """The newest of some executions of each job that the user may run, up to one more than a batch may have."""
    plain = executions.order_by()
    newest = plain.filter(job=OuterRef("pk")).order_by("-started_at", "-id").values("pk")[:1]
    jobs = Job.objects.filter(pk__in=plain.values("job")).annotate(newest=Subquery(newest)).order_by("name")
    ids = [job.newest for job in jobs.iterator(500) if may_touch(job, by)][: MOST + 1]  # type: ignore[attr-defined]
    found = Execution.objects.select_related("job").in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]


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
