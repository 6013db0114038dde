"""Alert rules: whether a job's failures cause an alert (each failure, N in a row, or N of the last M), and when the
job has recovered.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from enum import Enum
from statistics import median
from typing import NamedTuple
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from core.db.among import among
from core.db.bulk import update_many
from executions.models import Status
from executions.recording.outcomes import Finished
from executions.statistics.queries import latest_runs
from jobs.models import Job
from notifications.acknowledgements import ACKNOWLEDGED
from notifications.models import FailureState

REMIND_AFTER = dt.timedelta(days=1)
# A run is slow if it takes three times the median of its latest runs (at least five) and five seconds more.
_TIMES = 3.0
_AT_LEAST_SECONDS = 5.0
_COMPARED = 21
_FEWEST = 5


class AlertKind(Enum):
    """The kinds of alerts."""

    FAILED = "failed"
    STILL_FAILING = "still failing"
    RECOVERED = "recovered"
    SLOW = "slow"
    COMPLETED = "completed"
    UNRUN = "unrun"
    WAITING = "waiting"


class Alert(NamedTuple):
    """An alert to the people of a job. `since` and `failures` describe the failing period; for fire times that did
    not run, `failures` is their number; `usual` is the median of the latest runs in seconds, if that makes a run
    slow.
    """

    kind: AlertKind
    job: Job
    finished: Finished | None = None
    since: dt.datetime | None = None
    failures: int = 0
    usual: float | None = None


def alerts_of(finished: Sequence[Finished]) -> list[Alert]:
    """Apply the outcomes to the failing periods of their jobs, in the caller's transaction; returns the alerts, in
    order.
    """
    ids = {one.job_id for one in finished}
    locked = FailureState.objects.select_for_update().filter(among(ids)).order_by("pk")
    states = {one.job_id: one for one in locked}
    jobs = _concerned(finished, states)
    # Without a channel nobody follows a job: an old failing period would be told as news later.
    FailureState.objects.filter(among(set(states) - set(jobs))).delete()
    known = set(states) & set(jobs)
    usual = _usual(jobs, finished)
    alerts: list[Alert] = []
    for one in finished:
        if job := jobs.get(one.job_id):
            state = states.setdefault(one.job_id, FailureState(job=job))
            alerts += _follow(job, state, one, usual.get(job.pk))
    _store({job_id: states[job_id] for job_id in jobs}, known)
    return alerts


def _concerned(finished: Sequence[Finished], states: Collection[UUID]) -> dict[UUID, Job]:
    """The jobs with a channel whose outcomes may cause an alert or change a failing period: they failed now or lately,
    or have a rule for successes. The others are most of thousands, and are not read.
    """
    failed = {one.job_id for one in finished if one.status == Status.FAILED}
    jobs = Job.objects.filter(
        Q(enable_email_notifications=True) | Q(alert_slack=True),
        Q(among(failed.union(states)))
        | Q(notify_on_success=True)
        | Q(slow_after_seconds__gt=0)
        | Q(among(_took_long(finished)), slow_by_history=True),
        among({one.job_id for one in finished}),
    )
    return {job.pk: job for job in jobs.select_related("pic_team")}


def _took(one: Finished) -> float:
    return one.duration_seconds or 0.0


def _took_long(finished: Sequence[Finished]) -> set[UUID]:
    """The jobs of which a run took so long that it may be slow by their history."""
    return {one.job_id for one in finished if _took(one) > _AT_LEAST_SECONDS}


def _usual(jobs: dict[UUID, Job], finished: Sequence[Finished]) -> dict[UUID, float]:
    """The median seconds of the latest successful runs before these, for jobs whose rule uses it and may be met."""
    found: dict[UUID, float] = {}
    asking = [job_id for job_id in _took_long(finished) if job_id in jobs and jobs[job_id].slow_by_history]
    these = {one.execution_id for one in finished}
    for job_id, runs in latest_runs(asking, _COMPARED).items():
        seconds = [run.duration_seconds for run in runs if run.status == Status.SUCCESS and run.id not in these]
        if len(seconds) >= _FEWEST:
            found[job_id] = median(one or 0.0 for one in seconds)
    return found


def _slow(job: Job, one: Finished, usual: float | None) -> list[Alert]:
    """A run is slow if it took longer than the job's limit, or much longer than its latest runs."""
    took = _took(one)
    if job.slow_after_seconds and took > job.slow_after_seconds:
        return [Alert(AlertKind.SLOW, job, one)]
    if usual is not None and took > max(_TIMES * usual, usual + _AT_LEAST_SECONDS):
        return [Alert(AlertKind.SLOW, job, one, usual=usual)]
    return []


def _follow(job: Job, state: FailureState, one: Finished, usual: float | None) -> list[Alert]:
    failed = one.status == Status.FAILED
    span = job.alert_window or job.alert_after_failures
    state.recent = (state.recent + ("F" if failed else "S"))[-span:]
    if failed:
        return _failed(job, state, one)
    alerts = []
    if state.since is not None and _is_well(job, state):
        if state.alerted_at is not None and job.notify_on_recovery:
            alerts.append(Alert(AlertKind.RECOVERED, job, one, state.since, state.failures))
        state.since = state.alerted_at = state.reminded_at = None
        state.failures = 0
    if job.notify_on_success:
        alerts.append(Alert(AlertKind.COMPLETED, job, one))
    return alerts + _slow(job, one, usual)


def _failed(job: Job, state: FailureState, one: Finished) -> list[Alert]:
    state.since = state.since or one.completed_at
    state.failures += 1
    each = job.alert_after_failures == 1 and not job.alert_window
    if not _is_alarming(job, state) or (state.alerted_at is not None and not each):
        return []
    state.alerted_at = state.alerted_at or timezone.now()
    return [Alert(AlertKind.FAILED, job, one, state.since, state.failures)]


def _is_alarming(job: Job, state: FailureState) -> bool:
    """Whether the latest runs meet the job's alert rule."""
    if job.alert_window:
        return state.recent.count("F") >= min(job.alert_after_failures, job.alert_window)
    return _in_a_row(state, "F") >= job.alert_after_failures


def _is_well(job: Job, state: FailureState) -> bool:
    """Whether a failing period has ended: at the first success or, if N of M runs caused the alert, after N successes
    in a row.
    """
    return not job.alert_window or _in_a_row(state, "S") >= min(job.alert_after_failures, job.alert_window)


def _in_a_row(state: FailureState, outcome: str) -> int:
    """The number of latest consecutive runs with this outcome."""
    return len(state.recent) - len(state.recent.rstrip(outcome))


def _store(states: dict[UUID, FailureState], known: set[UUID]) -> None:
    kept = {job_id: state for job_id, state in states.items() if state.since is not None or "F" in state.recent}
    FailureState.objects.filter(among(known - set(kept))).delete()
    FailureState.objects.bulk_create(
        [state for job_id, state in kept.items() if job_id not in known], ignore_conflicts=True
    )
    fields = ("recent", "since", "failures", "alerted_at", "reminded_at")
    rows = [
        (one.recent, one.since, one.failures, one.alerted_at, one.reminded_at, job_id)
        for job_id, one in kept.items()
        if job_id in known
    ]
    update_many(FailureState, fields, ("job",), rows)


@transaction.atomic
def still_failing() -> list[Alert]:
    """Reminders for jobs that have kept failing for a day since their last alert, except acknowledged ones."""
    now = timezone.now()
    due = Q(reminded_at__lte=now - REMIND_AFTER) | Q(reminded_at=None, alerted_at__lte=now - REMIND_AFTER)
    failing = FailureState.objects.select_for_update(of=("self",)).filter(due, job__is_active=True)
    failing = failing.exclude(**ACKNOWLEDGED)
    states = list(failing.order_by("pk").select_related("job__pic_team"))
    FailureState.objects.filter(pk__in=[state.pk for state in states]).update(reminded_at=now)
    return [Alert(AlertKind.STILL_FAILING, state.job, None, state.since, state.failures) for state in states]
