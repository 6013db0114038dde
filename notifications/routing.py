"""Turns events into notifications in the app and messages to people, by the table in `notifications.routing_table`.

Alerts about single jobs follow the job's alert rules (`notifications.alert_rules`) and may be combined into digests
(`notifications.digests`).
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import User
from calendars.business_days import CERTAIN_UNTIL
from calendars.models import Calendar
from core.db.among import among
from core.db.bulk import insert_new
from core.masking import masked_text
from core.runtime import request_context
from executions.models import Execution, Status
from executions.recording.outcomes import Finished
from jobs.calendars import follow_holidays
from jobs.models import Job, today
from jobs.next_runs import correct_next_runs
from jobs.signals import JobChange
from moving.double_runs import DoubleRun
from notifications import alert_rules, rendering
from notifications.alert_rules import Alert
from notifications.digests import queue_alerts
from notifications.models import Event, Message
from notifications.routing_table import Kind, in_app
from settings_app.models import GitHubCredential

log = logging.getLogger("cronsched.notifications")
_BATCH = 500
_CREDENTIAL_ENDS = dt.timedelta(days=7)
_HOLIDAYS_END = dt.timedelta(days=60)


def on_jobs_changed(sender: Any, changes: Sequence[JobChange], bulk: bool, **_: Any) -> None:
    """Receive `jobs_changed`."""
    if bulk:
        _store([_upload(changes)], [])
        return
    events = [_of_change(change) for change in changes]
    ended = rendering.to_slack("ended", [change.job for change in changes if change.kind == "expired"])
    disabled = [
        message
        for change in changes
        if change.kind == "disabled"
        for message in rendering.of_disabled(change.job, _who(change.by))
    ]
    _store(events, [*ended, *disabled])


def _upload(changes: Sequence[JobChange]) -> Event:
    count = len(changes)
    what = f'Job "{changes[0].job.name}" was' if count == 1 else f"{count} jobs were"
    return _event(Kind.UPLOADED, f"{what} created by {_who(changes[0].by)} in one upload.")


def _of_change(change: JobChange) -> Event:
    job = change.job
    kind = Kind(change.kind)
    if kind is Kind.EXPIRED:
        message = (
            f'Job "{job.name}" was paused: its end date {job.end_date} ({job.shown_zone}) has passed.'
            f" Team: {job.pic_team.name}."
        )
        return _event(kind, message, owner_id=job.created_by_id, job_id=job.pk)
    message = f'Job "{job.name}" was {change.kind} by {_who(change.by)}.'
    return _event(kind, message, job_id=None if kind is Kind.DELETED else job.pk)


def _event(kind: Kind, message: str, **fields: Any) -> Event:
    """The notification in the app, by the route of the event."""
    shown = in_app(kind)
    return Event(title=shown.title, type=shown.type, audience=shown.audience, message=message, **fields)


def _who(user: User | None) -> str:
    """Who made a change: a user, the holder of a signed link (within a request), or an operator on the server."""
    return user.email if user else "a link from a reminder" if request_context.address() else "an operator"


def notify_unschedulable(job_id: UUID, name: str, reason: str) -> None:
    """Notify the admins and the owner of a job that the scheduler cannot fire."""
    owner = Job.objects.filter(pk=job_id).values_list("created_by", flat=True).first()
    message = f'Job "{name}" is off the clock until it is edited: {reason}'
    _store([_event(Kind.UNSCHEDULABLE, message, owner_id=owner, job_id=job_id)], [])


def notify_scheduler_incident(words: str, *, over: bool) -> None:
    """Notify the admins, in the app, by e-mail and by Slack, that an incident of the scheduler began or ended."""
    event = _event(Kind.SCHEDULER_WELL if over else Kind.SCHEDULER_INCIDENT, words)
    _store([event], rendering.of_scheduler(event))


@transaction.atomic
def notify_credential_problems() -> int:
    """Notify the admins about GitHub credentials that are refused or expire within a week, once for each problem;
    returns how many.
    """
    now = timezone.now()
    troubled = GitHubCredential.objects.defer("token", "private_key").filter(
        ~Q(problem="") | Q(expires_at__lte=now + _CREDENTIAL_ENDS), warned_at=None
    )
    events = [_of_credential(credential) for credential in troubled]
    _store(events, [])
    GitHubCredential.objects.filter(pk__in=[credential.pk for credential in troubled]).update(warned_at=now)
    return len(events)


def _of_credential(credential: GitHubCredential) -> Event:
    kind = Kind.CREDENTIAL_REFUSED if credential.problem else Kind.CREDENTIAL_ENDS
    what = credential.problem or f"it ends at {credential.expires_at:%Y-%m-%d %H:%M} UTC. Store a new one before."
    return _event(kind, f'GitHub credential "{credential.name}": {what}')


@transaction.atomic
def notify_double_runs(found: Sequence[DoubleRun]) -> None:
    """Notify owners and admins about jobs whose workflow runs by a schedule of its own as well."""
    events = []
    for one in found:
        message = (
            f'Job "{one.job.name}" runs twice: {one.path} still has its own schedule ({", ".join(one.schedules)}). '
            "Remove it there."
        )
        owner = one.job.created_by_id
        events.append(_event(Kind.DOUBLE_RUN, message, owner_id=owner, job_id=one.job.pk))
    _store(events, [])


@transaction.atomic
def notify_holidays() -> int:
    """Follow the national holidays of business calendars, and notify the admins of moved days and, once in the 60 days
    before, of the end of the certain ones; returns how many notices.
    """
    events = [
        _event(
            Kind.HOLIDAYS_MOVED,
            f'Business calendar "{one.calendar.name}": an update moved national holidays (new: {_days(one.new)}; '
            f"gone: {_days(one.gone)}). The next runs of {one.jobs} jobs have changed.",
        )
        for one in follow_holidays()
    ]
    left = dt.date(CERTAIN_UNTIL, 12, 31) - today()
    ending = Calendar.objects.exclude(country="") if left <= _HOLIDAYS_END else Calendar.objects.none()
    told = Event.objects.filter(title=in_app(Kind.HOLIDAYS_END).title, created_at__gte=timezone.now() - _HOLIDAYS_END)
    if ending.exists() and not told.exists():
        message = (
            f"The national holidays of business calendars are certain until {CERTAIN_UNTIL}-12-31 only. Update "
            "Cronsched, or list the days of the following year."
        )
        events.append(_event(Kind.HOLIDAYS_END, message))
    _store(events, [])
    return len(events)


def notify_zones() -> int:
    """Correct the next runs that follow time zone data of before, and notify the admins; returns how many."""
    corrected = correct_next_runs()
    if corrected:
        log.warning("the time zone data has changed: corrected the next runs of %d jobs", corrected)
        message = f"The time zone data has changed: the next runs of {corrected} jobs have moved."
        _store([_event(Kind.ZONES_CHANGED, message)], [])
    return corrected


def _days(days: Sequence[str]) -> str:
    return ", ".join(days[:10]) or "none"


def notify_outcomes(finished: Sequence[Finished]) -> None:
    """Notify about executions that have ended, in the caller's transaction."""
    unrun = Counter(one.job_id for one in finished if one.unrun is not None)
    if unrun:
        notify_unrun(unrun)
    finished = [one for one in finished if one.unrun is None]
    told = [one for one in finished if one.status == Status.FAILED or _success_is_told(one)]
    insert_new(Event, _OUTCOME_COLUMNS, [_outcome(one) for one in told])
    _store([], queue_alerts(alert_rules.alerts_of(finished)))


@transaction.atomic
def remind_of_failing_jobs() -> int:
    """Remind of jobs that have kept failing for another day; returns how many jobs."""
    alerts = alert_rules.still_failing()
    _store([], queue_alerts(alerts))
    return len(alerts)


def notify_unrun(unrun: Mapping[UUID, int]) -> None:
    """Notify the people of jobs that ask for it how many fire times were missed or skipped."""
    jobs = Job.objects.filter(among(unrun), notify_on_missed=True).select_related("pic_team")
    _store([], queue_alerts([Alert(alert_rules.AlertKind.UNRUN, job, failures=unrun[job.pk]) for job in jobs]))


def on_approval_awaited(sender: Any, execution: Execution, since: dt.datetime, **_: Any) -> None:
    """Notify the people of a job that its run waits for an approval, in the caller's transaction."""
    job = execution.job
    message = f'Job "{job.name}" waits for an approval on GitHub. {execution.run_url}'
    event = _event(Kind.APPROVAL_AWAITED, message, job_id=job.pk, execution_id=execution.pk)
    wanted = job.enable_email_notifications or job.alert_slack
    _store([event], queue_alerts([Alert(alert_rules.AlertKind.WAITING, job, since=since)]) if wanted else [])


def _success_is_told(finished: Finished) -> bool:
    return settings.NOTIFY_ON_SUCCESS == "all" or (settings.NOTIFY_ON_SUCCESS == "manual" and finished.is_manual)


_OUTCOME_COLUMNS = ("id", "title", "message", "type", "audience", "job_id", "execution_id", "created_at")


def _outcome(finished: Finished) -> tuple[Any, ...]:
    """The columns of an outcome's event. Built directly, because thousands may arrive at once."""
    failed = finished.status == Status.FAILED
    shown = in_app(Kind.FAILED if failed else Kind.COMPLETED)
    what = f"failed: {masked_text(finished.outcome.error)}" if failed else "completed successfully."
    return (
        uuid7(),
        shown.title,
        f'Job "{finished.job_name}" {what}',
        shown.type.value,
        shown.audience.value,
        finished.job_id,
        finished.execution_id,
        # Not the end of the execution: an outcome that is stored late must not be born before "mark all as read".
        timezone.now(),
    )


def remind_of_ending_jobs() -> int:
    """Notify about active jobs that end within 30 days, at most once a week for each job. Returns how many jobs."""
    day = today()
    jobs = list(Job.objects.ending_soon().select_related("pic_team", "created_by"))
    year, week, _ = day.isocalendar()
    name = f"{year}-W{week:02}"
    reminders = rendering.to_slack(f"ending {name}", jobs) + rendering.of_ending(name, jobs)
    told = Event.objects.filter(title=in_app(Kind.ENDING).title, created_at__gte=_monday(day))
    known = set(told.order_by().values_list("job_id", flat=True)) if jobs else set()
    fresh = [job for job in jobs if job.pk not in known]
    now = timezone.now()
    left = [(job, (job.end_date - now.astimezone(job.shown_zone).date()).days) for job in fresh]
    _store([_ending(job, days) for job, days in left], reminders)
    return len(fresh)


def _monday(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day - dt.timedelta(days=day.weekday()), dt.time(), settings.SCHEDULER_ZONE)


def _ending(job: Job, days: int) -> Event:
    left = "today" if days <= 0 else f"in {days} day{'s' if days > 1 else ''}"
    message = f'Job "{job.name}" ends {left}, on {job.end_date} ({job.shown_zone}). Team: {job.pic_team.name}.'
    return _event(Kind.ENDING, message, owner_id=job.created_by_id, job_id=job.pk)


def _store(events: list[Event], outgoing: Iterable[Message]) -> None:
    Event.objects.bulk_create(events, batch_size=_BATCH)
    Message.objects.bulk_create(outgoing, batch_size=_BATCH, ignore_conflicts=True)
