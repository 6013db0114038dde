"""Executions that are run again together. The leader starts what is due, so many of a batch at a time, so that a batch
of hundreds takes no slot from what fires in the meantime.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from django.db import transaction

from accounts.models import User
from core.api.errors import Invalid, invalid_field
from executions.models import Batch, BatchRun, Execution
from jobs.services import may_touch

MOST = 1000
LONGEST_MINUTES = 120


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
