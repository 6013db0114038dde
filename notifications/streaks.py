"""When a job's failures are worth an alert, by its own rules: each of them, so many in a row, so many of the last runs; and when it is well again."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from enum import Enum
from statistics import median
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from executions.bulk import update_many
from executions.history import latest_runs
from executions.models import Status
from executions.recorder import Finished
from jobs.models import Job
from notifications.models import Streak

REMIND_AFTER = dt.timedelta(days=1)
# Well beyond its own history: three times the median of the latest runs, of at least five, and five seconds more.
_TIMES = 3.0
_AT_LEAST_SECONDS = 5.0
_COMPARED = 21
_FEWEST = 5


class Kind(Enum):
    """What an alert says."""

    FAILED = "failed"
    STILL_FAILING = "is still failing"
    RECOVERED = "has recovered"
    SLOW = "was slow"
    COMPLETED = "completed"
    UNRUN = "was missed or skipped"


class Alert(NamedTuple):
    """Something that the people of a job are told. `since` and `failures` are of the failing period; of fire times
    that were not run `failures` is how many; `usual` is how many seconds the latest runs took, where that makes a run slow."""

    kind: Kind
    job: Job
    finished: Finished | None = None
    since: dt.datetime | None = None
    failures: int = 0
    usual: float | None = None


def alerts_of(finished: Sequence[Finished], jobs: dict[UUID, Job]) -> list[Alert]:
    """Follow the outcomes of these jobs, within the caller's transaction; returns what is worth an alert, in order."""
    streaks = {one.job_id: one for one in Streak.objects.select_for_update().filter(job__in=jobs).order_by("job")}
    known = set(streaks)
    usual = _usual(jobs, {one.execution_id for one in finished})
    alerts: list[Alert] = []
    for one in finished:
        if job := jobs.get(one.job_id):
            streak = streaks.setdefault(one.job_id, Streak(job=job))
            alerts += _follow(job, streak, one, usual.get(job.pk))
    _store(streaks, known)
    return alerts


def _usual(jobs: dict[UUID, Job], but: set[UUID]) -> dict[UUID, float]:
    """The median seconds of the latest successful runs, without those that have just ended, of jobs that ask to be measured by it."""
    found: dict[UUID, float] = {}
    asking = [job_id for job_id, job in jobs.items() if job.slow_by_history]
    for job_id, runs in latest_runs(asking, _COMPARED).items():
        seconds = [run.duration_seconds for run in runs if run.status == Status.SUCCESS and run.id not in but]
        if len(seconds) >= _FEWEST:
            found[job_id] = median(one or 0.0 for one in seconds)
    return found


def _slow(job: Job, one: Finished, usual: float | None) -> list[Alert]:
    """Slow is what took longer than the job's own limit, or well longer than its latest runs."""
    if job.slow_after_seconds and one.duration_seconds > job.slow_after_seconds:
        return [Alert(Kind.SLOW, job, one)]
    if usual is not None and one.duration_seconds > max(_TIMES * usual, usual + _AT_LEAST_SECONDS):
        return [Alert(Kind.SLOW, job, one, usual=usual)]
    return []


def _follow(job: Job, streak: Streak, one: Finished, usual: float | None) -> list[Alert]:
    failed = one.status == Status.FAILED
    span = job.alert_window or job.alert_after_failures
    streak.recent = (streak.recent + ("F" if failed else "S"))[-span:]
    if failed:
        return _failed(job, streak, one)
    alerts = []
    if streak.since is not None and _is_well(job, streak):
        if streak.told_at is not None and job.notify_on_recovery:
            alerts.append(Alert(Kind.RECOVERED, job, one, streak.since, streak.failures))
        streak.since = streak.told_at = streak.reminded_at = streak.acknowledged_at = streak.acknowledged_by = None
        streak.failures = 0
    if job.notify_on_success:
        alerts.append(Alert(Kind.COMPLETED, job, one))
    return alerts + _slow(job, one, usual)


def _failed(job: Job, streak: Streak, one: Finished) -> list[Alert]:
    streak.since = streak.since or one.completed_at
    streak.failures += 1
    each = job.alert_after_failures == 1 and not job.alert_window
    if not _is_alarming(job, streak) or (streak.told_at is not None and not each):
        return []
    streak.told_at = streak.told_at or timezone.now()
    return [Alert(Kind.FAILED, job, one, streak.since, streak.failures)]


def _is_alarming(job: Job, streak: Streak) -> bool:
    """Whether the latest runs are as bad as the job's rule says."""
    if job.alert_window:
        return streak.recent.count("F") >= min(job.alert_after_failures, job.alert_window)
    return _in_a_row(streak, "F") >= job.alert_after_failures


def _is_well(job: Job, streak: Streak) -> bool:
    """Whether a failing period is over: at the first success or, for a job that flaps, after as many in a row as failures made the alert."""
    return not job.alert_window or _in_a_row(streak, "S") >= min(job.alert_after_failures, job.alert_window)


def _in_a_row(streak: Streak, outcome: str) -> int:
    """How many of the latest runs, without a break, ended so."""
    return len(streak.recent) - len(streak.recent.rstrip(outcome))


def _store(streaks: dict[UUID, Streak], known: set[UUID]) -> None:
    kept = {job_id: streak for job_id, streak in streaks.items() if streak.since is not None or "F" in streak.recent}
    Streak.objects.filter(job__in=known - set(kept)).delete()
    Streak.objects.bulk_create(
        [streak for job_id, streak in kept.items() if job_id not in known], ignore_conflicts=True
    )
    fields = ("recent", "since", "failures", "told_at", "reminded_at", "acknowledged_at", "acknowledged_by")
    rows = [
        (one.recent, one.since, one.failures, one.told_at, one.reminded_at, one.acknowledged_at, one.acknowledged_by_id, job_id)
        for job_id, one in kept.items()
        if job_id in known
    ]  # fmt: skip
    update_many(Streak, fields, ("job",), rows)


@transaction.atomic
def still_failing() -> list[Alert]:
    """The alerts of jobs that have been failing for another day since they were told of; none for those that somebody acknowledged."""
    now = timezone.now()
    due = Q(reminded_at__lte=now - REMIND_AFTER) | Q(reminded_at=None, told_at__lte=now - REMIND_AFTER)
    failing = Streak.objects.select_for_update(of=("self",)).filter(due, acknowledged_at=None, job__is_active=True)
    streaks = list(failing.order_by("job").select_related("job__pic_team"))
    Streak.objects.filter(pk__in=[streak.pk for streak in streaks]).update(reminded_at=now)
    return [Alert(Kind.STILL_FAILING, streak.job, None, streak.since, streak.failures) for streak in streaks]


def acknowledge(job: Job, *, by: User) -> bool:
    """Say that somebody looks after a failing job: no more reminders until it has recovered. Returns whether it was failing."""
    failing = Streak.objects.filter(job=job, told_at__isnull=False, acknowledged_at=None)
    return bool(failing.update(acknowledged_at=timezone.now(), acknowledged_by=by))
