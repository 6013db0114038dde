"""Operations on the scheduler that any process may call."""

from __future__ import annotations

import time
from typing import Any

from django.utils import timezone

from accounts.models import User
from core.api.errors import Conflict
from jobs.models import Job
from scheduler.models import Leadership, Resync

ANSWER_WITHIN = 10.0
_LOOK_SECONDS = 0.05


def scheduled_jobs_count() -> int:
    """The number of active jobs with a next fire time."""
    return Job.objects.active().filter(next_run_at__isnull=False).count()


def backlog() -> int:
    """The number of jobs that are due and not yet fired."""
    return Job.objects.due(timezone.now()).count()


def resync(by: User | None) -> dict[str, Any]:
    """Request a full reconciliation and wait up to 10 s for the leader's report. Raises `Conflict` without a leader."""
    if not Leadership.current().is_live:
        raise _no_leader("No scheduler is running. Start one with 'manage.py runscheduler'.")
    asked = Resync.objects.create(requested_by=by)
    deadline = time.monotonic() + ANSWER_WITHIN
    while time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        answer = Resync.objects.filter(pk=asked.pk, answered_at__isnull=False).values_list("result", flat=True).first()
        if answer is not None:
            return dict(answer)
    Resync.objects.filter(pk=asked.pk, answered_at=None).delete()
    raise _no_leader(f"The scheduler did not answer within {ANSWER_WITHIN:g} s. Look at its log.")


def _no_leader(message: str) -> Conflict:
    return Conflict("Scheduler not running", message)
