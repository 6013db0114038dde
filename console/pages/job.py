"""The page of a job for reading: its situation, its latest runs, its next fire times, who is told, what changed."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from audit.models import ChangeRecord
from console import charts, records
from console.situations import situation, state_of
from core.api.timestamps import DateRange
from core.sentences import said
from executions.models import OPEN, Execution, Status
from executions.statistics import queries, rollups
from executions.targets import DeliverableTarget
from jobs.models import Job
from jobs.schedules.schedule import CronError
from jobs.services import may_touch
from notifications.audience import audience, is_told_outside
from notifications.models import FailureState

_RUNS = 50
_NEXT = 5
_CHANGES = 10


def context(job: Job, user: User) -> dict[str, Any]:
    """The values of the page. Twelve queries, whatever the history."""
    now = timezone.now()
    runs = queries.latest_runs([job.pk], _RUNS)[job.pk]
    state = situation(runs)
    ears = audience(job)
    return {
        "job": job,
        "may_touch": may_touch(job, user),
        "situation": state,
        "state": state_of(job, state, is_running=bool(runs) and runs[-1].status in OPEN),
        "strip": charts.strip(runs),
        "durations": charts.durations(runs),
        "success": [(days, _rate(job, now, days)) for days in (7, 30)],
        "last_error": _last_error(job, state.is_failing or state.is_flapping),
        "words": _words(job),
        "upcoming": _upcoming(job, now),
        "target": _target(job),
        "ears": ears,
        "nobody_told": not is_told_outside(ears),
        "acknowledged": FailureState.objects.filter(job=job, acknowledged_at__isnull=False)
        .select_related("acknowledged_by")
        .first(),
        "may_acknowledge": FailureState.objects.filter(
            job=job, alerted_at__isnull=False, acknowledged_at__isnull=True
        ).exists(),
        "changes": records.shown(ChangeRecord.objects.filter(subject_id=job.pk)[:_CHANGES]),
    }


def _rate(job: Job, now: dt.datetime, days: int) -> dict[str, Any]:
    counts = rollups.counts(DateRange(now - dt.timedelta(days=days), None), job.pk)
    ended = counts.success + counts.failed
    return {
        "runs": ended,
        "failed": counts.failed,
        "percent": round(100 * counts.success / ended, 1) if ended else None,
    }


def _last_error(job: Job, is_bad: bool) -> Execution | None:
    """The newest failed execution, while the job fails or flaps."""
    if not is_bad:
        return None
    return Execution.objects.filter(job=job, status=Status.FAILED).newest_first().first()


def _words(job: Job) -> str:
    try:
        return job.schedule.describe()
    except CronError as exc:
        return said(exc)


def _upcoming(job: Job, now: dt.datetime) -> list[dt.datetime]:
    """The next fire times in the scheduler's zone, up to the end date."""
    found: list[dt.datetime] = []
    moment = job.next_run_at
    while moment is not None and len(found) < _NEXT:
        found.append(moment.astimezone(settings.SCHEDULER_ZONE))
        moment = job.next_fire(max(moment, now))
    return found


def _target(job: Job) -> dict[str, str]:
    """The target as it is shown, its kind, and its web page."""
    try:
        target = job.target
    except ValueError:
        return {"shown": job.target_url, "noun": "", "page": ""}
    shown = target.shown() if isinstance(target, DeliverableTarget) else str(target)
    page = target.page() if isinstance(target, DeliverableTarget) else ""
    return {"shown": shown, "noun": str(target.noun), "page": page}
