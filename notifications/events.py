"""The one place that decides which events become notifications and messages: who hears what, by which channel.

| event | in-app | e-mail | Slack |
|---|---|---|---|
| job created, edited, enabled, disabled, deleted | everyone | - | - |
| execution succeeded | everyone, as `NOTIFY_ON_SUCCESS` says | the job's addresses, if it asks | if the job asks |
| execution failed | everyone | the job's addresses, while its mail is on: each, or by its rule, then daily | if the job asks, by the same rule |
| job recovered, was slow, fire times missed or skipped | - | the job's addresses, if it asks | if the job asks |
| more than five of these within ten minutes for one recipient | - | one digest | one digest |
| job disabled by somebody else | everyone | the owner, if the preferences ask for it | - |
| end date passed | owner and admins | - | with the team's mention |
| job ends within 30 days: each Monday | owner and admins | owner: own jobs, admins: all, one message each | with the team's mention |
| GitHub credential refused, or ending within a week | admins | - | - |
| no leader for a minute, a late clock, a long backlog, and their end | admins | admins | once |
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from uuid_utils.compat import uuid7

from accounts.models import User
from executions.bulk import insert_new
from executions.models import Status
from executions.recorder import Finished
from jobs.models import Job, today
from jobs.signals import JobChange
from notifications import messages, streaks
from notifications.gathering import queue_alerts
from notifications.models import Audience, Event, EventType, Message
from notifications.streaks import Alert, Kind
from settings_app.models import GitHubCredential

_BATCH = 500
REMIND_DAYS = 30
_CREDENTIAL_ENDS = dt.timedelta(days=7)


def tell_of_changes(sender: Any, changes: Sequence[JobChange], bulk: bool, **_: Any) -> None:
    """Receive `jobs_changed`."""
    if bulk:
        _store([_upload(changes)], [])
        return
    events = [_of_change(change) for change in changes]
    ended = messages.to_slack("ended", [change.job for change in changes if change.kind == "expired"])
    disabled = [
        message
        for change in changes
        if change.kind == "disabled"
        for message in messages.of_disabled(change.job, _who(change.by))
    ]
    _store(events, [*ended, *disabled])


def _upload(changes: Sequence[JobChange]) -> Event:
    count = len(changes)
    what = f'Job "{changes[0].job.name}" was' if count == 1 else f"{count} jobs were"
    return Event(
        title="Jobs Uploaded", message=f"{what} created by {_who(changes[0].by)} in one upload.", type=EventType.INFO
    )


def _of_change(change: JobChange) -> Event:
    job = change.job
    if change.kind == "expired":
        return _about_end(
            job,
            "Job auto-paused (end date passed)",
            f'Job "{job.name}" was paused: its end date {job.end_date} ({settings.SCHEDULER_ZONE}) has passed.'
            f" Team: {job.pic_team.name}.",
        )
    title, kind = {
        "created": ("New Job Created", EventType.INFO),
        "updated": ("Job Updated", EventType.INFO),
        "enabled": ("Job Enabled", EventType.INFO),
        "disabled": ("Job Disabled", EventType.WARNING),
        "deleted": ("Job Deleted", EventType.WARNING),
    }[change.kind]
    return Event(
        title=title,
        message=f'Job "{job.name}" was {change.kind} by {_who(change.by)}.',
        type=kind,
        job_id=None if change.kind == "deleted" else job.pk,
    )


def _about_end(job: Job, title: str, message: str) -> Event:
    return Event(
        title=title,
        message=message,
        type=EventType.WARNING,
        audience=Audience.OWNER_AND_ADMINS,
        owner_id=job.created_by_id,
        job_id=job.pk,
    )


def _who(user: User | None) -> str:
    return user.email if user else "an operator"


def tell_of_problem(job_id: UUID, name: str, reason: str) -> None:
    """Tell the admins and the owner of a job that the scheduler cannot fire."""
    owner = Job.objects.filter(pk=job_id).values_list("created_by", flat=True).first()
    event = Event(
        title="Job cannot be scheduled",
        message=f'Job "{name}" is off the clock until it is edited: {reason}',
        type=EventType.ERROR,
        audience=Audience.OWNER_AND_ADMINS,
        owner_id=owner,
        job_id=job_id,
    )
    _store([event], [])


def tell_of_scheduler(words: str, *, over: bool) -> None:
    """Tell the admins, in the app, by e-mail and by Slack, of trouble with the scheduler itself, or of its end."""
    event = Event(
        title="Scheduler is well again" if over else "Scheduler in trouble",
        message=words,
        type=EventType.SUCCESS if over else EventType.ERROR,
        audience=Audience.OWNER_AND_ADMINS,
    )
    _store([event], messages.of_scheduler(event))


@transaction.atomic
def tell_of_credentials() -> int:
    """Tell the admins of GitHub credentials that are refused or end within a week, once for each trouble; returns how many."""
    now = timezone.now()
    troubled = GitHubCredential.objects.defer("token", "private_key").filter(
        ~Q(problem="") | Q(expires_at__lte=now + _CREDENTIAL_ENDS), warned_at=None
    )
    events = [
        Event(
            title="GitHub credential refused" if credential.problem else "GitHub credential ends soon",
            message=f'GitHub credential "{credential.name}": '
            + (credential.problem or f"it ends at {credential.expires_at:%Y-%m-%d %H:%M} UTC. Store a new one before."),
            type=EventType.ERROR if credential.problem else EventType.WARNING,
            audience=Audience.OWNER_AND_ADMINS,
        )
        for credential in troubled
    ]
    _store(events, [])
    GitHubCredential.objects.filter(pk__in=[credential.pk for credential in troubled]).update(warned_at=now)
    return len(events)


def tell_of_executions(sender: Any, finished: Sequence[Finished], **_: Any) -> None:
    """Receive `executions_finished`."""
    told = [one for one in finished if one.status == Status.FAILED or _success_is_told(one)]
    insert_new(Event, _OUTCOME_COLUMNS, [_outcome(one) for one in told])
    jobs = Job.objects.filter(pk__in={one.job_id for one in finished}).filter(
        Q(enable_email_notifications=True) | Q(alert_slack=True)
    )
    wanting = {job.pk: job for job in jobs.select_related("pic_team")}
    if wanting:
        _store([], queue_alerts(streaks.alerts_of(finished, wanting)))


@transaction.atomic
def remind_of_failing_jobs() -> int:
    """Tell once more of jobs that have been failing for another day; returns of how many."""
    alerts = streaks.still_failing()
    _store([], queue_alerts(alerts))
    return len(alerts)


def tell_of_unrun(unrun: Mapping[UUID, int]) -> None:
    """Tell the people of jobs that ask for it how many fire times were missed or skipped."""
    jobs = Job.objects.filter(pk__in=unrun, notify_on_missed=True).select_related("pic_team")
    _store([], queue_alerts([Alert(Kind.UNRUN, job, failures=unrun[job.pk]) for job in jobs]))


def _success_is_told(finished: Finished) -> bool:
    return settings.NOTIFY_ON_SUCCESS == "all" or (settings.NOTIFY_ON_SUCCESS == "manual" and finished.manual)


_OUTCOME_COLUMNS = ("id", "title", "message", "type", "audience", "job_id", "execution_id", "created_at")


def _outcome(finished: Finished) -> tuple[Any, ...]:
    """The columns of an outcome's event: thousands may come at once."""
    if finished.status == Status.FAILED:
        title, kind = "Job Failed", EventType.ERROR
        message = f'Job "{finished.job_name}" failed: {finished.outcome.error}'
    else:
        title, kind = "Job Completed", EventType.SUCCESS
        message = f'Job "{finished.job_name}" completed successfully.'
    everyone = Audience.EVERYONE.value
    return uuid7(), title, message, kind.value, everyone, finished.job_id, finished.execution_id, finished.completed_at


def remind_of_ending_jobs() -> int:
    """Tell of the active jobs that end within 30 days; once a week for each, whoever asks. Returns how many."""
    day = today()
    jobs = list(
        Job.objects.active()
        .filter(end_date__range=(day, day + dt.timedelta(days=REMIND_DAYS)))
        .select_related("pic_team", "created_by")
    )
    year, week, _ = day.isocalendar()
    name = f"{year}-W{week:02}"
    reminders = messages.to_slack(f"ending {name}", jobs) + messages.of_ending(name, jobs)
    fresh = [
        job
        for job in jobs
        if not Event.objects.filter(title=_ENDING, job_id=job.pk, created_at__gte=_monday(day)).exists()
    ]
    _store([_ending(job, (job.end_date - day).days) for job in fresh], reminders)
    return len(fresh)


_ENDING = "Job ending soon"


def _monday(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day - dt.timedelta(days=day.weekday()), dt.time(), settings.SCHEDULER_ZONE)


def _ending(job: Job, days: int) -> Event:
    left = "today" if days == 0 else f"in {days} day{'s' if days > 1 else ''}"
    return _about_end(
        job,
        _ENDING,
        f'Job "{job.name}" ends {left}, on {job.end_date} ({settings.SCHEDULER_ZONE}). Team: {job.pic_team.name}.',
    )


def _store(events: list[Event], outgoing: Iterable[Message]) -> None:
    Event.objects.bulk_create(events, batch_size=_BATCH)
    Message.objects.bulk_create(outgoing, batch_size=_BATCH, ignore_conflicts=True)


def forget_old(days: int) -> int:
    """Delete events and messages older than `days`, in steps; returns how many events."""
    limit = timezone.now() - dt.timedelta(days=days)
    deleted = 0
    while ids := list(Event.objects.filter(created_at__lt=limit).order_by().values_list("pk", flat=True)[:_BATCH]):
        Event.objects.filter(pk__in=ids).delete()
        deleted += len(ids)
    Message.objects.filter(created_at__lt=limit).delete()
    return deleted
